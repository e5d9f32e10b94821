/* SchemaStep to and from JSON, for durable histories. Pure. */
#ifndef SM_TRACK_STEP_JSON_H
#define SM_TRACK_STEP_JSON_H

#include "base/err.h"
#include "model/lineage.h"

/* {"before":{…}|null,"after":{…}|null,"columns":[{"from","renamed","converted","lossy","fill","text"}],
 * "dropped":[index,…],"name_before":[schema,table],"name_after":[…],"rows","what","statement"}. */
void step_to_json(const SchemaStep *s, StrBuf *out);
/* *out owns its schemas: step_free. ERR_CORRUPT. */
NODISCARD bool step_from_json(Str json, SchemaStep **out, Err *err);
/* For steps from step_from_json: their schemas as well. */
void step_free(SchemaStep *s);

#endif
