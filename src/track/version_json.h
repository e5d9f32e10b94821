/* Versions to and from JSON. Pure. */
#ifndef SM_TRACK_VERSION_JSON_H
#define SM_TRACK_VERSION_JSON_H

#include <jansson.h>
#include "track/version.h"

/* {"schema":{…},"shape":{…} if
 * another,"origins":[{"kind","base","fill","text","lossy"}],"feeds":[n,…],"rows", "gone"}; a feed of -1 is
 * NO_COLUMN. A new reference. */
json_t *version_to_json(const Version *v);
/* ERR_CORRUPT. */
NODISCARD bool version_from_json(VersionPool *p, const json_t *o, const Version **out, Err *err);

/* Steps as JSON values (track/step_json.h has the form). */
json_t *version_step_to_json(const SchemaStep *s);
NODISCARD bool version_step_from_json(VersionPool *p, const json_t *o, const SchemaStep **out, Err *err);

#endif
