#include "track/column_build.h"
#include "base/check.h"
#include "model/charset_text.h"
#include "base/poison.h"

enum { MODE_PAD_CHAR = 0x80000000, MODE_REAL_AS_FLOAT = 1 };

static bool is_mysql(const ApplyContext *ctx)
{
    return ctx->flavor != FLAVOR_MARIADB;
}

/* Does the server still show the width of integers and YEAR? */
static bool shows_width(const ApplyContext *ctx)
{
    return !is_mysql(ctx) || (ctx->version && ctx->version < 80019);
}

/* -- collations -- */

/* What a charset means without a collation: <charset>_general_ci but for these. */
static Str default_collation(Str charset, const ApplyContext *ctx, Arena *arena)
{
    static const char *const other[][2] = {
        {"big5", "chinese_ci"},   {"dec8", "swedish_ci"},   {"hp8", "english_ci"},
        {"latin1", "swedish_ci"}, {"swe7", "swedish_ci"},   {"ujis", "japanese_ci"},
        {"sjis", "japanese_ci"},  {"tis620", "thai_ci"},    {"euckr", "korean_ci"},
        {"gb2312", "chinese_ci"}, {"gbk", "chinese_ci"},    {"gb18030", "chinese_ci"},
        {"latin5", "turkish_ci"}, {"cp932", "japanese_ci"}, {"eucjpms", "japanese_ci"},
    };
    (void)arena;
    if (str_eqc(charset, "binary")) return STR("binary");
    if (str_eqc(charset, "utf8mb4")) {
        if (ctx->utf8mb4_collation.len) return ctx->utf8mb4_collation;
        if (is_mysql(ctx) && (!ctx->version || ctx->version >= 80000)) return STR("utf8mb4_0900_ai_ci");
        if (!is_mysql(ctx) && ctx->version >= 110500) return STR("utf8mb4_uca1400_ai_ci");
    }
    bool uca = !is_mysql(ctx) && ctx->version >= 110500;
    if (uca && (str_eqc(charset, "utf8mb3") || str_eqc(charset, "ucs2") || str_eqc(charset, "utf16") ||
                str_eqc(charset, "utf32"))) {
        const Collation *c;
        CLEANUP(sb_done) StrBuf name = {0};
        sb_printf(&name, STR_FMT "_uca1400_ai_ci", STR_ARG(charset));
        c = charset_collation_by_name(sb_view(&name));
        if (c) return c->name;
    }
    const char *tail = "general_ci";
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (str_eqc(charset, other[i][0])) tail = other[i][1];
    CLEANUP(sb_done) StrBuf name = {0};
    sb_printf(&name, STR_FMT "_%s", STR_ARG(charset), tail);
    const Collation *c = charset_collation_by_name(sb_view(&name));
    return c ? c->name : (Str){0};
}

bool column_holds_bytes(const ColumnDef *c)
{
    return !c->charset.len || str_eqc(c->charset, "binary");
}

bool column_own_text(const ColumnDef *c, Str bytes, Arena *arena, Str *out)
{
    const Charset *cs = charset_by_name(c->charset);
    *out = bytes;
    return column_holds_bytes(c) || !cs || cs->form == CHARSET_UTF8 ||
           charset_text_to_utf8(cs, bytes, arena, out);
}

Str charset_of_collation(Str collation)
{
    const Collation *c = charset_collation_by_name(collation);
    return c ? c->charset->name : (Str){0};
}

Str collation_of_server(const ApplyContext *ctx)
{
    if (is_mysql(ctx) && ctx->version && ctx->version < 80000) return STR("latin1_swedish_ci");
    if (!is_mysql(ctx) && (!ctx->version || ctx->version < 110600)) return STR("latin1_swedish_ci");
    return default_collation(STR("utf8mb4"), ctx, NULL);
}

/* MariaDB 10.10+: uca1400_ai_ci alone takes the charset in force. */
static Str contextual(Str charset, Str collation)
{
    const Collation *c = charset_collation_by_name(collation);
    if (c) return c->name;
    CLEANUP(sb_done) StrBuf name = {0};
    sb_printf(&name, STR_FMT "_" STR_FMT, STR_ARG(charset), STR_ARG(collation));
    c = charset_collation_by_name(sb_view(&name));
    return c ? c->name : (Str){0};
}

Str collation_resolve(Str charset, Str collation, Str dflt, const ApplyContext *ctx)
{
    if (str_eqc(charset, "default")) charset = (Str){0};
    if (str_eqc(collation, "default")) collation = (Str){0};
    if (collation.len) {
        const Charset *cs = charset.len ? charset_by_name(charset) : NULL;
        return contextual(cs ? cs->name : charset_of_collation(dflt), collation);
    }
    if (!charset.len) return dflt;
    const Charset *cs = charset_by_name(charset);
    return cs ? default_collation(cs->name, ctx, NULL) : (Str){0};
}

static Str binary_collation(Str charset)
{
    CLEANUP(sb_done) StrBuf name = {0};
    sb_printf(&name, STR_FMT "_bin", STR_ARG(charset));
    const Collation *c = charset_collation_by_name(sb_view(&name));
    return c ? c->name : (Str){0};
}

/* -- types -- */

typedef enum TypeForm {
    FORM_INT,
    FORM_DECIMAL,
    FORM_FLOAT,
    FORM_BIT,
    FORM_YEAR,
    FORM_TIME, /* with fraction digits */
    FORM_DATE,
    FORM_CHAR, /* sized, with characters */
    FORM_TEXT,
    FORM_BINARY,
    FORM_BLOB,
    FORM_LIST,
    FORM_JSON,
    FORM_SPATIAL,
    FORM_VECTOR,
    FORM_BARE, /* UUID, INET4, INET6 */
} TypeForm;

typedef struct TypeRule {
    const char *name;
    TypeForm form;
    uint32_t a, b; /* INT: width signed, unsigned; TEXT, BLOB: bytes of the length */
    uint32_t precision;
} TypeRule;

static const TypeRule rules[] = {
    {"tinyint", FORM_INT, 4, 3, 3},
    {"smallint", FORM_INT, 6, 5, 5},
    {"mediumint", FORM_INT, 9, 8, 7},
    {"int", FORM_INT, 11, 10, 10},
    {"bigint", FORM_INT, 20, 20, 19},
    {"decimal", FORM_DECIMAL, 0, 0, 0},
    {"float", FORM_FLOAT, 0, 0, 12},
    {"double", FORM_FLOAT, 0, 0, 22},
    {"bit", FORM_BIT, 0, 0, 0},
    {"year", FORM_YEAR, 0, 0, 0},
    {"date", FORM_DATE, 0, 0, 0},
    {"time", FORM_TIME, 0, 0, 0},
    {"datetime", FORM_TIME, 0, 0, 0},
    {"timestamp", FORM_TIME, 0, 0, 0},
    {"char", FORM_CHAR, 0, 0, 0},
    {"varchar", FORM_CHAR, 0, 0, 0},
    {"tinytext", FORM_TEXT, 1, 0, 0},
    {"text", FORM_TEXT, 2, 0, 0},
    {"mediumtext", FORM_TEXT, 3, 0, 0},
    {"longtext", FORM_TEXT, 4, 0, 0},
    {"binary", FORM_BINARY, 0, 0, 0},
    {"varbinary", FORM_BINARY, 0, 0, 0},
    {"tinyblob", FORM_BLOB, 1, 0, 0},
    {"blob", FORM_BLOB, 2, 0, 0},
    {"mediumblob", FORM_BLOB, 3, 0, 0},
    {"longblob", FORM_BLOB, 4, 0, 0},
    {"enum", FORM_LIST, 0, 0, 0},
    {"set", FORM_LIST, 0, 0, 0},
    {"json", FORM_JSON, 0, 0, 0},
    {"geometry", FORM_SPATIAL, 0, 0, 0},
    {"point", FORM_SPATIAL, 0, 0, 0},
    {"linestring", FORM_SPATIAL, 0, 0, 0},
    {"polygon", FORM_SPATIAL, 0, 0, 0},
    {"multipoint", FORM_SPATIAL, 0, 0, 0},
    {"multilinestring", FORM_SPATIAL, 0, 0, 0},
    {"multipolygon", FORM_SPATIAL, 0, 0, 0},
    {"geomcollection", FORM_SPATIAL, 0, 0, 0},
    {"geometrycollection", FORM_SPATIAL, 0, 0, 0},
    {"vector", FORM_VECTOR, 0, 0, 0},
    {"uuid", FORM_BARE, 0, 0, 0},
    {"inet4", FORM_BARE, 0, 0, 0},
    {"inet6", FORM_BARE, 0, 0, 0},
};

static const TypeRule *rule_of(Str type)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eqc(type, rules[i].name)) return &rules[i];
    return NULL;
}

bool column_is_text(const ColumnDef *c)
{
    const TypeRule *r = rule_of(c->data_type);
    return r && (r->form == FORM_CHAR || r->form == FORM_TEXT);
}

bool column_is_blob(const ColumnDef *c)
{
    const TypeRule *r = rule_of(c->data_type);
    return r &&
           (r->form == FORM_TEXT || r->form == FORM_BLOB || r->form == FORM_JSON || r->form == FORM_SPATIAL);
}

/* One column being made. */
typedef struct Build {
    const DdlColumn *ddl;
    const ApplyContext *ctx;
    Arena *arena;
    ColumnDef *c;
    Err *err;
} Build;

static bool refuse(const Build *b, const char *what)
{
    return err_set(b->err, ERR_DDL_APPLY, "column `" STR_FMT "`: %s", STR_ARG(b->ddl->name), what);
}

static bool number(const Build *b, Str digits, uint64_t dflt, uint64_t *out)
{
    *out = dflt;
    if (!digits.len) return true;
    if (str_to_u64(digits, out)) return true;
    return refuse(b, "a length that is no number");
}

static void put_sign(const Build *b, StrBuf *out)
{
    if (b->c->is_unsigned) sb_c(out, " unsigned");
    if (b->ddl->zerofill) sb_c(out, " zerofill");
}

static bool build_int(Build *b, const TypeRule *r, StrBuf *type)
{
    uint64_t width;
    bool zerofill = b->ddl->zerofill;
    if (!number(b, b->ddl->type.length, b->c->is_unsigned ? r->b : r->a, &width)) return false;
    if (b->ddl->type.length.len && width == 0) width = b->c->is_unsigned ? r->b : r->a;
    bool one =
        str_eqc(b->c->data_type, "tinyint") && width == 1 && !b->c->is_unsigned && b->ddl->type.length.len;
    sb_str(type, b->c->data_type);
    if (shows_width(b->ctx) || zerofill || one) sb_printf(type, "(%u)", (unsigned)width);
    put_sign(b, type);
    bool more = str_eqc(b->c->data_type, "bigint") ||
                (str_eqc(b->c->data_type, "mediumint") && b->ctx->flavor == FLAVOR_MARIADB);
    b->c->precision = r->precision + (b->c->is_unsigned && more);
    return true;
}

static bool build_decimal(Build *b, StrBuf *type)
{
    uint64_t precision, scale;
    if (!number(b, b->ddl->type.length, 10, &precision) || !number(b, b->ddl->type.scale, 0, &scale))
        return false;
    if (!precision) precision = 10;
    if (precision < scale) return refuse(b, "a scale above its precision");
    b->c->precision = (uint32_t)precision;
    b->c->scale = (uint32_t)scale;
    sb_printf(type, "decimal(%u,%u)", b->c->precision, b->c->scale);
    put_sign(b, type);
    return true;
}

/* FLOAT(p) is a FLOAT up to 24 bits, else a DOUBLE. */
static bool build_float(Build *b, const TypeRule *r, StrBuf *type)
{
    uint64_t precision, scale;
    if (!number(b, b->ddl->type.length, 0, &precision) || !number(b, b->ddl->type.scale, 0, &scale))
        return false;
    if (b->ddl->type.is_real && (b->ctx->sql_mode & MODE_REAL_AS_FLOAT)) b->c->data_type = STR("float");
    bool sized = b->ddl->type.scale.len > 0;
    if (!sized && precision > 24) b->c->data_type = STR("double");
    r = rule_of(b->c->data_type);
    b->c->precision = sized ? (uint32_t)precision : r->precision;
    b->c->scale = sized ? (uint32_t)scale : 0;
    sb_str(type, b->c->data_type);
    if (sized) sb_printf(type, "(%u,%u)", (unsigned)precision, (unsigned)scale);
    put_sign(b, type);
    return true;
}

static uint64_t text_bytes(uint32_t length_bytes)
{
    return length_bytes == 4 ? UINT32_MAX : ((uint64_t)1 << (8 * length_bytes)) - 1;
}

/* The smallest TEXT or BLOB of so many bytes. */
static Str text_for(uint64_t bytes, bool blob)
{
    static const char *const names[2][4] = {{"tinytext", "text", "mediumtext", "longtext"},
                                            {"tinyblob", "blob", "mediumblob", "longblob"}};
    unsigned i = 0;
    while (i < 3 && text_bytes(i + 1) < bytes)
        i++;
    return str_of(names[blob][i]);
}

static const Charset *charset_of(const ColumnDef *c)
{
    return charset_by_name(c->charset);
}

static unsigned min_bytes(const Charset *cs)
{
    if (!cs || cs->form != CHARSET_WIDE) return 1;
    return str_eqc(cs->name, "utf32") ? 4 : 2;
}

/* CHARACTER_MAXIMUM_LENGTH of a TEXT: as many characters as fit at best. */
static uint64_t text_length(const ColumnDef *c)
{
    return text_bytes(rule_of(c->data_type)->a) / min_bytes(charset_of(c));
}

static bool is_strict(const ApplyContext *ctx)
{
    return ctx->sql_mode & (0x400000 /* STRICT_ALL_TABLES */ | 0x200000 /* STRICT_TRANS_TABLES */);
}

/* Too long VARCHAR becomes TEXT where the session is not strict. */
static bool build_char(Build *b, StrBuf *type)
{
    uint64_t length;
    if (!number(b, b->ddl->type.length, 1, &length)) return false;
    const Charset *cs = charset_of(b->c);
    uint64_t bytes = length * (cs ? cs->max_len : 1);
    bool fixed = str_eqc(b->c->data_type, "char");
    if (bytes > 65535 && !fixed && !is_strict(b->ctx)) {
        b->c->data_type = text_for(bytes, false);
        b->c->char_length = text_length(b->c);
        sb_str(type, b->c->data_type);
        return true;
    }
    b->c->char_length = length;
    sb_printf(type, STR_FMT "(%u)", STR_ARG(b->c->data_type), (unsigned)length);
    return true;
}

static bool build_binary(Build *b, StrBuf *type)
{
    uint64_t length;
    if (!number(b, b->ddl->type.length, 1, &length)) return false;
    if (length > 65535 && str_eqc(b->c->data_type, "varbinary") && !is_strict(b->ctx)) {
        b->c->data_type = text_for(length, true);
        b->c->char_length = text_bytes(rule_of(b->c->data_type)->a);
        sb_str(type, b->c->data_type);
        return true;
    }
    b->c->char_length = length;
    sb_printf(type, STR_FMT "(%u)", STR_ARG(b->c->data_type), (unsigned)length);
    return true;
}

/* TEXT(n) is the smallest that holds n characters. */
static bool build_text(Build *b, bool blob, StrBuf *type)
{
    uint64_t length;
    if (!number(b, b->ddl->type.length, 0, &length)) return false;
    const Charset *cs = charset_of(b->c);
    if (length) b->c->data_type = text_for(length * (blob || !cs ? 1 : cs->max_len), blob);
    b->c->char_length = blob ? text_bytes(rule_of(b->c->data_type)->a) : text_length(b->c);
    sb_str(type, b->c->data_type);
    return true;
}

static uint64_t characters(Str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Members lose trailing blanks, but for binary ones; the length is that of the longest, of a SET that of all
 * with commas. */
static bool build_list(Build *b, StrBuf *type)
{
    uint32_t n = 0;
    for (const DdlName *m = b->ddl->type.members; m; m = m->next)
        n++;
    Str *members = arena_array(b->arena, Str, n + 1);
    bool set = str_eqc(b->c->data_type, "set");
    uint64_t longest = 0, all = 0;
    sb_printf(type, STR_FMT "(", STR_ARG(b->c->data_type));
    n = 0;
    for (const DdlName *m = b->ddl->type.members; m; m = m->next) {
        Str s = m->bytes.len && column_holds_bytes(b->c) ? m->bytes : m->name;
        if (m->raw && !column_own_text(b->c, s, b->arena, &s))
            return err_set(b->err, ERR_DDL_APPLY,
                           "column `" STR_FMT "`: a member is no text of character set " STR_FMT,
                           STR_ARG(b->c->name), STR_ARG(b->c->charset));
        while (b->c->collation.len && !str_eqc(b->c->collation, "binary") && s.len && s.ptr[s.len - 1] == ' ')
            s.len--;
        members[n] = arena_str(b->arena, s);
        longest = MAX(longest, characters(s));
        all += characters(s) + (n > 0);
        if (n++) sb_ch(type, ',');
        sb_ch(type, '\'');
        for (size_t i = 0; i < s.len; i++) {
            if (s.ptr[i] == '\'') sb_ch(type, '\'');
            if (s.ptr[i] == '\\')
                sb_c(type, "\\\\");
            else if (s.ptr[i] == '\n')
                sb_c(type, "\\n");
            else if (s.ptr[i] == '\r')
                sb_c(type, "\\r");
            else if (s.ptr[i] == 0)
                sb_c(type, "\\0");
            else
                sb_ch(type, s.ptr[i]);
        }
        sb_ch(type, '\'');
    }
    sb_ch(type, ')');
    b->c->members = members;
    b->c->n_members = n;
    b->c->char_length = set ? all : longest;
    return true;
}

static bool build_time(Build *b, StrBuf *type)
{
    uint64_t fsp;
    if (!number(b, b->ddl->type.length, 0, &fsp)) return false;
    if (fsp > 6) { /* TIMESTAMP(14) of old */
        if (!str_eqc(b->c->data_type, "timestamp") || is_mysql(b->ctx))
            return refuse(b, "more than 6 fraction digits");
        fsp = 0;
    }
    b->c->fsp = (uint32_t)fsp;
    sb_str(type, b->c->data_type);
    if (fsp) sb_printf(type, "(%u)", (unsigned)fsp);
    return true;
}

static bool build_bits(Build *b, const TypeRule *r, StrBuf *type)
{
    uint64_t n;
    if (!number(b, b->ddl->type.length, r->form == FORM_BIT ? 1 : 2048, &n)) return false;
    if (r->form == FORM_BIT && !n) n = 1;
    if (r->form == FORM_BIT)
        b->c->precision = (uint32_t)n;
    else
        b->c->char_length = n * 4;
    sb_printf(type, "%s(%u)", r->name, (unsigned)n);
    return true;
}

static bool build_type(Build *b, const TypeRule *r, StrBuf *type)
{
    switch (r->form) {
    case FORM_INT: return build_int(b, r, type);
    case FORM_DECIMAL: return build_decimal(b, type);
    case FORM_FLOAT: return build_float(b, r, type);
    case FORM_BIT:
    case FORM_VECTOR: return build_bits(b, r, type);
    case FORM_TIME: return build_time(b, type);
    case FORM_CHAR: return build_char(b, type);
    case FORM_TEXT: return build_text(b, false, type);
    case FORM_BINARY: return build_binary(b, type);
    case FORM_BLOB: return build_text(b, true, type);
    case FORM_LIST: return build_list(b, type);
    case FORM_YEAR: sb_c(type, shows_width(b->ctx) ? "year(4)" : "year"); return true;
    case FORM_SPATIAL:
        if (str_eqc(b->c->data_type, "geomcollection") && shows_width(b->ctx))
            b->c->data_type = STR("geometrycollection");
        break;
    default: break;
    }
    sb_str(type, b->c->data_type);
    return true;
}

/* CHARACTER SET binary and BYTE make the binary type of a character type. */
static Str binary_twin(Str type)
{
    static const char *const twins[][2] = {{"char", "binary"},           {"varchar", "varbinary"},
                                           {"tinytext", "tinyblob"},     {"text", "blob"},
                                           {"mediumtext", "mediumblob"}, {"longtext", "longblob"}};
    for (size_t i = 0; i < ARRAY_LEN(twins); i++)
        if (str_eqc(type, twins[i][0])) return str_of(twins[i][1]);
    return type;
}

static void set_collation(ColumnDef *c, Str collation)
{
    c->collation = collation;
    c->charset = charset_of_collation(collation);
}

/* Charset and collation of a type with characters; may turn it into its binary twin. */
static bool build_charset(Build *b, const TypeRule *r, Str table_collation)
{
    const DdlColumn *d = b->ddl;
    Str charset = d->charset;
    if (d->type.national) charset = STR("utf8mb3");
    if (d->ascii) charset = STR("latin1");
    if (d->unicode) charset = STR("ucs2");
    if (d->byte) charset = STR("binary");
    Str collation = collation_resolve(charset, d->collation, table_collation, b->ctx);
    if (!collation.len) return refuse(b, "a character set or collation that is not known");
    if (d->binary && !str_eqc(collation, "binary"))
        collation = binary_collation(charset_of_collation(collation));
    if (str_eqc(collation, "binary") && r->form != FORM_LIST) {
        b->c->data_type = binary_twin(b->c->data_type);
        return true;
    }
    if (str_eqc(collation, "binary") && is_mysql(b->ctx)) return true; /* shows none */
    set_collation(b->c, collation);
    return true;
}

/* MariaDB has no JSON type: a LONGTEXT with a check. */
static void json_of_mariadb(Build *b, Str *check)
{
    StrBuf text = {0};
    b->c->data_type = STR("longtext");
    set_collation(b->c, STR("utf8mb4_bin"));
    sb_c(&text, "json_valid(");
    sb_ident(&text, b->ddl->name);
    sb_ch(&text, ')');
    *check = arena_str(b->arena, sb_view(&text));
    sb_done(&text);
}

static void build_flags(Build *b)
{
    const DdlColumn *d = b->ddl;
    ColumnDef *c = b->c;
    bool serial = str_eqc(d->type.name, "serial");
    c->is_unsigned = d->is_unsigned || d->zerofill || serial;
    c->auto_increment = d->auto_increment || serial || d->serial_default;
    c->not_null = d->null == DDL_NULL_NO || serial || d->serial_default ||
                  (c->auto_increment && d->null != DDL_NULL_YES);
    c->invisible = d->invisible;
    c->generated = d->generated || d->row_start || d->row_end;
    c->generated_stored = d->stored || d->row_start || d->row_end;
    c->generation_expr = d->row_start ? STR("ROW START") : d->row_end ? STR("ROW END") : d->generation_expr;
    if (d->row_start || d->row_end) c->not_null = true;
    c->on_update_now = d->on_update_now;
    c->has_srid = d->has_srid;
    c->srid = d->srid;
    c->unversioned = d->without_versioning;
}

bool column_build(const DdlColumn *ddl, Str table_collation, const ApplyContext *ctx, Arena *arena,
                  ColumnDef *out, Str *check, Err *err)
{
    Build b = {.ddl = ddl, .ctx = ctx, .arena = arena, .c = out, .err = err};
    bool serial = str_eqc(ddl->type.name, "serial");
    *check = (Str){0};
    out->data_type = serial ? STR("bigint") : ddl->type.name;
    build_flags(&b);
    const TypeRule *r = rule_of(out->data_type);
    if (!r)
        return err_set(err, ERR_NOT_SUPPORTED, "column `" STR_FMT "`: type " STR_FMT " is not tracked yet",
                       STR_ARG(ddl->name), STR_ARG(ddl->type.name));
    if (r->form == FORM_CHAR || r->form == FORM_TEXT || r->form == FORM_LIST) {
        if (!build_charset(&b, r, table_collation)) return false;
    } else if (r->form == FORM_JSON && !is_mysql(ctx)) {
        json_of_mariadb(&b, check);
    }
    CLEANUP(sb_done) StrBuf type = {0};
    if (!build_type(&b, rule_of(out->data_type), &type)) return false;
    if (ddl->compressed) sb_c(&type, " /*M!100301 COMPRESSED*/");
    out->column_type = arena_str(arena, sb_view(&type));
    out->generation_expr = arena_str(arena, out->generation_expr);
    return true;
}

bool column_convert(ColumnDef *c, Str collation, Arena *arena, Err *err)
{
    const TypeRule *r = rule_of(c->data_type);
    if (!r || !c->collation.len || str_eqc(c->charset, "binary")) return true;
    const Charset *from = charset_of(c), *to = charset_by_name(charset_of_collation(collation));
    if (!from || !to) return true;
    if (c->n_members && from != to && (from->form == CHARSET_WIDE || to->form == CHARSET_WIDE))
        return err_set(err, ERR_NOT_SUPPORTED,
                       "column `" STR_FMT "`: the servers spoil members between " STR_FMT " and " STR_FMT,
                       STR_ARG(c->name), STR_ARG(from->name), STR_ARG(to->name));
    CLEANUP(sb_done) StrBuf type = {0};
    bool binary = str_eqc(to->name, "binary");
    if (r->form == FORM_TEXT) {
        uint64_t bytes = text_bytes(r->a) / from->max_len * to->max_len;
        c->data_type = text_for(MAX(bytes, r->a > 1 ? text_bytes(r->a - 1) + 1 : 1), binary);
        if (r->a == 4) c->data_type = binary ? STR("longblob") : STR("longtext");
        sb_str(&type, c->data_type);
    } else if (r->form == FORM_CHAR && binary) {
        c->char_length *= from->max_len;
        c->data_type = binary_twin(c->data_type);
        sb_printf(&type, STR_FMT "(%u)", STR_ARG(c->data_type), (unsigned)c->char_length);
    } else {
        sb_str(&type, c->column_type);
    }
    if (binary && r->form != FORM_LIST)
        c->charset = c->collation = (Str){0};
    else
        set_collation(c, collation);
    if (r->form == FORM_TEXT) c->char_length = binary ? text_bytes(rule_of(c->data_type)->a) : text_length(c);
    size_t comment = str_find(c->column_type, STR(" /*"));
    if (r->form == FORM_TEXT && comment != SIZE_MAX)
        sb_add(&type, c->column_type.ptr + comment, c->column_type.len - comment);
    c->column_type = arena_str(arena, sb_view(&type));
    return true;
}
