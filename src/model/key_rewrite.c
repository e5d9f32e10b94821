#include "model/binding.h"
#include "base/poison.h"

bool key_rewrite(const KeyRewrite *r, bool *negative, uint64_t *value)
{
    __int128 id = *negative ? (__int128)(int64_t)*value : (__int128)*value;
    if (id == 0 && r->keep_zero) return true;
    if (id < (__int128)r->low || id > (__int128)r->high) return false;
    id = id * (__int128)r->multiply + (__int128)r->add;
    *negative = id < 0;
    *value = (uint64_t)id;
    return true;
}
