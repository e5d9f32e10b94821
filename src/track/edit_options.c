#include "track/schema_edit.h"
#include "base/poison.h"

static Str written(const Edit *e, const char *name)
{
    Str value = {0};
    for (const DdlChange *c = e->stmt->changes; c; c = c->next)
        if (c->kind == DDL_OPTION && str_eqc(c->option->name, name)) value = c->option->value;
    return value;
}

static Str lower(Edit *e, Str s)
{
    char *out = arena_alloc(e->arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i];
    out[s.len] = 0;
    return str_make(out, s.len);
}

void edit_options_charset(Edit *e)
{
    Str dflt = e->ctx->schema_collation.len ? e->ctx->schema_collation : collation_of_server(e->ctx);
    Str charset = lower(e, written(e, "charset")), collation = lower(e, written(e, "collate"));
    if (!e->before) e->table.collation = dflt;
    /* ALTER … COLLATE x alone keeps to the charset that x is of */
    if (charset.len || collation.len)
        e->table.collation = collation_resolve(charset, collation, dflt, e->ctx);
    for (const DdlChange *c = e->stmt->changes; c; c = c->next)
        if (c->kind == DDL_CONVERT_CHARSET)
            e->table.collation = collation_resolve(c->charset, c->collation, dflt, e->ctx);
}

/* As information_schema spells the engine. */
static Str engine_name(Str s)
{
    static const char *const names[] = {"InnoDB",  "MyISAM",     "MEMORY",     "Aria",     "CSV",
                                        "ARCHIVE", "BLACKHOLE",  "MRG_MyISAM", "SEQUENCE", "CONNECT",
                                        "ROCKSDB", "ndbcluster", "FEDERATED"};
    if (str_ieq(s, STR("HEAP"))) return STR("MEMORY");
    if (str_ieq(s, STR("MERGE"))) return STR("MRG_MyISAM");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(s, str_of(names[i]))) return str_of(names[i]);
    return s;
}

void edit_option_set(Edit *e, Str name, Str value)
{
    TableSchema *t = &e->table;
    TableOption *list = arena_array(e->arena, TableOption, t->n_options + 2);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_options; i++)
        if (!str_eq(t->options[i].name, name)) list[n++] = t->options[i];
    if (value.len) list[n++] = (TableOption){name, value};
    t->options = list;
    t->n_options = n;
}

/* Those that information_schema shows. */
static bool is_kept(Str name)
{
    static const char *const names[] = {
        "avg_row_length",    "checksum",          "delay_key_write",    "key_block_size",
        "max_rows",          "min_rows",          "pack_keys",          "row_format",
        "stats_auto_recalc", "stats_persistent",  "page_compressed",    "page_compression_level",
        "encrypted",         "encryption_key_id", "transactional",      "compression",
        "encryption",        "page_checksum",     "stats_sample_pages",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

static Str upper_if_word(Edit *e, const DdlOption *o)
{
    if (!str_eqc(o->name, "row_format")) return o->value;
    char *out = arena_alloc(e->arena, o->value.len + 1);
    for (size_t i = 0; i < o->value.len; i++)
        out[i] =
            o->value.ptr[i] >= 'a' && o->value.ptr[i] <= 'z' ? (char)(o->value.ptr[i] - 32) : o->value.ptr[i];
    out[o->value.len] = 0;
    return str_make(out, o->value.len);
}

/* A number of 0 is what is not set, but for the switches. */
static bool is_unset(const DdlOption *o)
{
    static const char *const numbers[] = {"avg_row_length",    "key_block_size", "max_rows",
                                          "min_rows",          "checksum",       "delay_key_write",
                                          "stats_sample_pages"};
    if (o->is_default) return true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (str_eqc(o->name, numbers[i]) && str_eqc(o->value, "0")) return true;
    return false;
}

static bool set_option(Edit *e, const DdlOption *o)
{
    TableSchema *t = &e->table;
    if (str_eqc(o->name, "engine")) {
        t->engine = engine_name(o->value);
        if (str_eqc(t->engine, "BLACKHOLE") && e->before) e->rows = ROWS_ALL_GONE;
    } else if (str_eqc(o->name, "comment")) {
        t->comment = o->value;
    } else if (str_eqc(o->name, "auto_increment")) {
        if (!str_to_u64(o->value, &t->auto_increment)) return edit_refuse(e, "no number:", o->name);
    } else if (str_eqc(o->name, "sequence")) {
        t->is_sequence = str_eqc(o->value, "1");
    } else if (is_kept(o->name)) {
        edit_option_set(e, o->name, is_unset(o) ? (Str){0} : upper_if_word(e, o));
    }
    return true;
}

bool edit_options_change(Edit *e)
{
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        switch (c->kind) {
        case DDL_OPTION:
            if (!set_option(e, c->option)) return false;
            break;
        case DDL_RENAME_TABLE: e->table.name = c->table; break;
        case DDL_TABLESPACE: e->rows = ROWS_UNKNOWN; break;
        default: break;
        }
    }
    if (!e->table.collation.len)
        return err_set(e->err, ERR_DDL_APPLY,
                       STR_FMT "." STR_FMT ": a character set or collation that is not known",
                       STR_ARG(e->table.name.schema), STR_ARG(e->table.name.table));
    return true;
}
