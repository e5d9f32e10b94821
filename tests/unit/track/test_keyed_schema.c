/* What a CREATE TABLE for TiDB says besides, and what the operator is told of each strategy's table. */
#include <stdio.h>
#include "track/keyed_schema.h"
#include "track/tables.h"
#include "unit.h"

static const Col columns[] = {
    {.name = "id", .type = "int(11)", .wire = COLTYPE_LONG, .auto_increment = true},
    VARCHAR_("mail", 20, "utf8mb4_bin", 80),
    {.name = "made", .type = "timestamp", .wire = COLTYPE_TIMESTAMP2},
};
static const Col wide[] = {
    {.name = "id", .type = "bigint(20)", .wire = COLTYPE_LONGLONG, .auto_increment = true},
    {.name = "v", .type = "int(11)", .wire = COLTYPE_LONG},
};
static const Col uncounted[] = {INT_("a"), INT_("b")};
static const char *const mails[] = {"PRIMARY:id", "k_mail:mail", "-k_made:made,id", "-k_id:id,made", NULL};
static const char *const plain[] = {"PRIMARY:id", NULL};
static const char *const both[] = {"PRIMARY:a,b", NULL};
static const char *const no_primary[] = {"k_id:id", NULL};

#define CLUSTERED "T![clustered_index] CLUSTERED"
#define NONCLUSTERED "T![clustered_index] NONCLUSTERED"
#define SPREAD "SHARD_ROW_ID_BITS=4 PRE_SPLIT_REGIONS=4"
#define OFF "AUTO_INCREMENT stays off"
#define CHOOSE "AUTO_ID_CACHE 1 (MySQL-like)"
#define RANDOM_TOO "or AUTO_RANDOM (spread; loading into it needs allow_auto_random_explicit_insert"
#define NO_RANDOM "AUTO_RANDOM needs a CLUSTERED primary key that begins with the id"
#define UNMENDED "unique key `k_mail` is not mended by the ids"
#define HOT_TIME "index `k_made` begins with a time (`made`)"

typedef struct Case {
    KeyStrategy strategy;
    bool tidb;
    const Col *columns;
    size_t n;
    const char *const *keys;
    const char *primary_words, *table_words; /* NULL: none */
    const char *says[8], *keeps_quiet[5];
} Case;

static const Case cases[] = {
    {KEY_STRATEGY_ERROR,
     false,
     COLS(columns),
     mails,
     NULL,
     NULL,
     {"two shards hold stops the source", "route --census", OFF},
     {"TiDB", "AUTO_RANDOM", UNMENDED}},
    {KEY_STRATEGY_ERROR,
     true,
     COLS(columns),
     mails,
     CLUSTERED,
     NULL,
     {"CLUSTERED), which spreads them when each shard counts in a range of its own",
      "write NONCLUSTERED and SHARD_ROW_ID_BITS=4 instead", "two shards hold stops the source", OFF, CHOOSE,
      NO_RANDOM, HOT_TIME},
     {RANDOM_TOO, "`k_mail`", "k_id"}},
    {KEY_STRATEGY_ERROR,
     true,
     COLS(wide),
     plain,
     CLUSTERED,
     NULL,
     {CHOOSE, RANDOM_TOO},
     {NO_RANDOM, HOT_TIME}},
    {KEY_STRATEGY_ERROR,
     true,
     COLS(uncounted),
     both,
     CLUSTERED,
     NULL,
     {"(CLUSTERED)"},
     {"AUTO_INCREMENT", "AUTO_RANDOM", OFF}},
    {KEY_STRATEGY_ERROR,
     true,
     COLS(wide),
     no_primary,
     NULL,
     SPREAD,
     {"hidden row ids", NO_RANDOM},
     {"(CLUSTERED)"}},
    {KEY_STRATEGY_PARTITION_ID,
     true,
     COLS(columns),
     mails,
     CLUSTERED,
     NULL,
     {"a range of ids of its own", CHOOSE, RANDOM_TOO, UNMENDED, OFF, HOT_TIME},
     {NO_RANDOM, "hot end"}},
    {KEY_STRATEGY_PARTITION_ID, false, COLS(columns), mails, NULL, NULL, {UNMENDED, OFF}, {"TiDB"}},
    {KEY_STRATEGY_STRIDE,
     true,
     COLS(columns),
     mails,
     NONCLUSTERED,
     SPREAD,
     {"grow together at one end", "hot end while all shards insert", CHOOSE, NO_RANDOM, UNMENDED},
     {RANDOM_TOO}},
    {KEY_STRATEGY_STRIDE, false, COLS(columns), mails, NULL, NULL, {UNMENDED, OFF}, {"TiDB", "sm_remap"}},
    {KEY_STRATEGY_REMAP,
     true,
     COLS(columns),
     mails,
     NONCLUSTERED,
     SPREAD,
     {"hot end while all shards insert", CHOOSE, NO_RANDOM, "sm_remap", UNMENDED},
     {RANDOM_TOO}},
    {KEY_STRATEGY_REMAP, false, COLS(columns), plain, NULL, NULL, {"sm_remap", OFF}, {"TiDB", "not mended"}},
    {KEY_STRATEGY_COMPOSITE,
     true,
     COLS(columns),
     mails,
     CLUSTERED,
     NULL,
     {"begins with the provenance columns", "do not name shard", CHOOSE, NO_RANDOM, HOT_TIME},
     {RANDOM_TOO, UNMENDED, "stand last"}},
    {KEY_STRATEGY_COMPOSITE,
     false,
     COLS(columns),
     mails,
     NULL,
     NULL,
     {"stand last", OFF},
     {"TiDB", UNMENDED}},
    {KEY_STRATEGY_PLAIN_INDEX,
     true,
     COLS(columns),
     mails,
     NULL,
     SPREAD,
     {"hidden row ids, which are spread", CHOOSE, NO_RANDOM},
     {RANDOM_TOO, "(CLUSTERED)", UNMENDED}},
    {KEY_STRATEGY_PLAIN_INDEX, false, COLS(columns), mails, NULL, NULL, {OFF}, {"TiDB"}},
};

static void compare_words(const char *what, const char *want, const char *got)
{
    ck_assert_msg(!want == !got, "case %s: %s", what, got ? got : "nothing is said");
    if (want) ck_assert_msg(strstr(got, want), "case %s: %s", what, got);
}

START_TEST(words_and_advice)
{
    const Case *c = &cases[_i];
    TableSchema *shard = table("t", c->columns, c->n, c->keys), *keyed = NULL;
    ProvenanceRule provenance = {.column = STR("shard")};
    RouteRule rule = {.key = {.strategy = c->strategy}};
    KeyColumn id = {.column = STR("id")};
    KeyConstant constant = {&provenance, STR("s1")};
    bool rewrites = c->strategy == KEY_STRATEGY_PARTITION_ID || c->strategy == KEY_STRATEGY_STRIDE ||
                    c->strategy == KEY_STRATEGY_REMAP;
    bool named = c->strategy == KEY_STRATEGY_COMPOSITE || c->strategy == KEY_STRATEGY_PLAIN_INDEX;
    MemberKeys keys = {.strategy = c->strategy,
                       .rule = &rule,
                       .columns = &id,
                       .n_columns = rewrites,
                       .own = rewrites ? 0 : NO_COLUMN,
                       .constants = &constant,
                       .n_constants = named};
    CreateOpts opts = {.name = shard->name, .target_is_tidb = c->tidb};
    StrBuf advice = {0};
    Err err = {0};
    char what[40];
    snprintf(what, sizeof what, "%d (%s%s)", _i, keys_strategy_name(c->strategy), c->tidb ? ", TiDB" : "");
    ck_assert_msg(keyed_schema(shard, &keys, c->tidb, &keyed, &err), "%s: %s", what, err.message);
    keyed_words(&keys, keyed, &opts);
    compare_words(what, c->primary_words, opts.primary_words);
    compare_words(what, c->table_words, opts.table_words);
    keyed_advice(&keys, keyed, &opts, &advice);
    const char *text = advice.ptr ? advice.ptr : "";
    for (size_t i = 0; i < ARRAY_LEN(c->says) && c->says[i]; i++)
        ck_assert_msg(strstr(text, c->says[i]), "case %s does not say \"%s\":\n%s", what, c->says[i], text);
    for (size_t i = 0; i < ARRAY_LEN(c->keeps_quiet) && c->keeps_quiet[i]; i++)
        ck_assert_msg(!strstr(text, c->keeps_quiet[i]), "case %s says \"%s\":\n%s", what, c->keeps_quiet[i],
                      text);
    sb_done(&advice);
    schema_free(keyed);
    schema_free(shard);
}
END_TEST

START_TEST(without_keys_nothing_is_said)
{
    TableSchema *shard = table("t", COLS(columns), plain), *keyed = NULL;
    CreateOpts opts = {.name = shard->name, .target_is_tidb = true};
    StrBuf advice = {0};
    Err err = {0};
    ck_assert(keyed_schema(shard, NULL, true, &keyed, &err));
    keyed_words(NULL, keyed, &opts);
    keyed_advice(NULL, keyed, &opts, &advice);
    ck_assert(!opts.primary_words && !opts.table_words && !advice.len);
    schema_free(keyed);
    schema_free(shard);
}
END_TEST

static Suite *keyed_suite(void)
{
    Suite *s = suite_create("track/keyed_schema");
    TCase *t = tcase_create("keyed");
    tcase_add_loop_test(t, words_and_advice, 0, ARRAY_LEN(cases));
    tcase_add_test(t, without_keys_nothing_is_said);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(keyed_suite)
