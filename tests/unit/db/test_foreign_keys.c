#include "db/foreign_keys.h"
#include "unit.h"

#define HEAD "CREATE TABLE `c` (\n  `id` int(11) NOT NULL,\n"
#define TAIL "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
#define KEY "  CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES `parent` (`id`)"

static const struct {
    const char *text;
    bool acts;
} definitions[] = {
    {HEAD KEY TAIL, false},
    {HEAD KEY " ON DELETE NO ACTION ON UPDATE RESTRICT" TAIL, false},
    {HEAD KEY " ON DELETE CASCADE" TAIL, true},
    {HEAD KEY " ON UPDATE CASCADE" TAIL, true},
    {HEAD KEY " ON DELETE NO ACTION ON UPDATE SET NULL" TAIL, true},
    {HEAD KEY " ON DELETE SET DEFAULT" TAIL, true},
    {HEAD KEY ",\n" KEY " ON DELETE CASCADE" TAIL, true},
    {HEAD "  `t` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),\n" KEY TAIL,
     false},
    /* words inside quotes are not its own */
    {HEAD "  `x` int(11) COMMENT 'it''s \\' ON DELETE CASCADE',\n" KEY TAIL, false},
    {HEAD "  `ON DELETE CASCADE` int(11),\n" KEY TAIL, false},
    {HEAD "  \"ON DELETE \\\" int(11),\n" KEY TAIL " COMMENT='ON DELETE SET NULL'", false},
    {HEAD "  `\\` varchar(9) DEFAULT '\\\\',\n" KEY " ON DELETE CASCADE" TAIL, true},
    /* what cannot be read counts as acting */
    {HEAD "  PRIMARY KEY (`id`)" TAIL, true},
    {HEAD "  `x` int(11) COMMENT 'FOREIGN KEY'" TAIL, true},
    {HEAD KEY TAIL " COMMENT='no end", true},
    {"", true},
};

START_TEST(rules_from_the_definition)
{
    for (size_t i = 0; i < ARRAY_LEN(definitions); i++)
        ck_assert_msg(foreign_keys_act(str_of(definitions[i].text)) == definitions[i].acts, "%zu: %s", i,
                      definitions[i].text);
}
END_TEST

static Suite *foreign_keys_suite(void)
{
    Suite *s = suite_create("db/foreign_keys");
    TCase *c = tcase_create("foreign_keys");
    tcase_add_test(c, rules_from_the_definition);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(foreign_keys_suite)
