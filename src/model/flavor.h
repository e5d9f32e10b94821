/* The two server families whose binlogs differ. Decided once per source from the server itself, then stored.
 */
#ifndef SM_MODEL_FLAVOR_H
#define SM_MODEL_FLAVOR_H

typedef enum Flavor { FLAVOR_UNKNOWN = 0, FLAVOR_MYSQL, FLAVOR_MARIADB } Flavor;

static inline const char *flavor_name(Flavor f)
{
    return f == FLAVOR_MYSQL ? "mysql" : f == FLAVOR_MARIADB ? "mariadb" : "unknown";
}

#endif
