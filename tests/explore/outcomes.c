#include "outcomes.h"
#include "lock/group.h"
#include "base/poison.h"

#define ALTER "ALTER TABLE t "

static const char create[] =
    "CREATE TABLE t (id INT NOT NULL, a INT, b INT NOT NULL DEFAULT 7, s VARCHAR(20) CHARACTER SET latin1,"
    " PRIMARY KEY (id), UNIQUE KEY us (s, id), KEY ib (b)) PARTITION BY RANGE (id)"
    " (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200))";

/* one: what the first shard runs; two: what another one runs instead; NULL: there is no other way. */
typedef struct Kind {
    const char *name, *one;
} Kind;

static const Kind kinds[] = {
    {"add column", ALTER "ADD c INT"},
    {"add column with default", ALTER "ADD c INT NOT NULL DEFAULT 1"},
    {"the same with another default", ALTER "ADD c INT NOT NULL DEFAULT 2"},
    {"add column of another type", ALTER "ADD c DATE"},
    {"add column with now()", ALTER "ADD n DATETIME DEFAULT now()"},
    {"add column with uuid()", ALTER "ADD u CHAR(36) DEFAULT (uuid())"},
    {"drop column", ALTER "DROP a"},
    {"rename column", ALTER "RENAME COLUMN a TO r"},
    {"rename to another name", ALTER "RENAME COLUMN a TO q"},
    {"widen", ALTER "MODIFY a BIGINT"},
    {"narrow", ALTER "MODIFY a SMALLINT"},
    {"shorten text", ALTER "MODIFY s VARCHAR(5) CHARACTER SET latin1"},
    {"change the kind of type", ALTER "MODIFY a VARCHAR(20)"},
    {"change default", ALTER "ALTER b SET DEFAULT 8"},
    {"change default otherwise", ALTER "ALTER b SET DEFAULT 9"},
    {"allow NULL", ALTER "MODIFY b INT DEFAULT 7"},
    {"forbid NULL", ALTER "MODIFY a INT NOT NULL"},
    {"widen character set", ALTER "MODIFY s VARCHAR(20) CHARACTER SET utf8mb4"},
    {"add index", ALTER "ADD INDEX ia (a)"},
    {"drop index", ALTER "DROP INDEX ib"},
    {"add unique key", ALTER "ADD UNIQUE KEY ua (a, id)"},
    {"drop unique key", ALTER "DROP INDEX us"},
    {"add partition", ALTER "ADD PARTITION (PARTITION p2 VALUES LESS THAN (300))"},
    {"drop partition", ALTER "DROP PARTITION p0"},
    {"truncate partition", ALTER "TRUNCATE PARTITION p1"},
    {"truncate table", "TRUNCATE TABLE t"},
    {"drop table", "DROP TABLE t"},
    {"rename table in the group", "RENAME TABLE t TO t9"},
    {"rename table out of the group", "RENAME TABLE t TO out1"},
    {"comment, engine, row format", ALTER "COMMENT 'x'"},
};
enum { N_KINDS = ARRAY_LEN(kinds) };

/* -- what happens -- */

static void run_at(Group *g, uint32_t member, const char *sql)
{
    g->now = member ? "2026-01-01 12:01:00" : "2026-01-01 12:00:00";
    if (!group_run(g, member, sql))
        fprintf(stderr, "%s: %s\n", sql, g->err.message ? g->err.message : "nothing");
    CHECK(!err_is_set(&g->err), "statements of the page are understood");
}

/* "flow": both are written; "1 waits" … and what the target did. */
static const char *outcome(const Group *g)
{
    bool one = group_is_held(g, 0), two = group_is_held(g, 1);
    switch (lock_state(g->lock)) {
    case LOCK_CLOSED: return g->alters ? "one" : "nothing";
    case LOCK_DATA_DIFFERS: return "data";
    case LOCK_OPERATOR: return "ask";
    default: break;
    }
    if (one && two) return "both";
    return one ? "1st" : two ? "2nd" : "join";
}

static const char *outcome_of(LockMode mode, const char *one, const char *two)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = mode}, create, 2);
    run_at(&g, 0, one);
    if (two) run_at(&g, 1, two);
    const char *out = outcome(&g);
    group_done(&g);
    return out;
}

static void print_singles(void)
{
    printf("## One shard, then all\n\n| change | pessimistic, one | all | optimistic, one | all "
           "|\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < N_KINDS; i++)
        printf("| %s: `%s` | %s | %s | %s | %s |\n", kinds[i].name, kinds[i].one,
               outcome_of(LOCK_PESSIMISTIC, kinds[i].one, NULL),
               outcome_of(LOCK_PESSIMISTIC, kinds[i].one, kinds[i].one),
               outcome_of(LOCK_OPTIMISTIC, kinds[i].one, NULL),
               outcome_of(LOCK_OPTIMISTIC, kinds[i].one, kinds[i].one));
}

static void print_pairs(LockMode mode)
{
    printf("\n## Pairs, %s\n\nRow: what the first shard ran; column: what the second ran after it.\n\n| |",
           mode == LOCK_OPTIMISTIC ? "optimistic" : "pessimistic");
    for (size_t i = 0; i < N_KINDS; i++)
        printf(" %zu |", i + 1);
    printf("\n|---|");
    for (size_t i = 0; i < N_KINDS; i++)
        printf("---|");
    putchar('\n');
    for (size_t i = 0; i < N_KINDS; i++) {
        printf("| %zu %s |", i + 1, kinds[i].name);
        for (size_t k = 0; k < N_KINDS; k++)
            printf(" %s |", outcome_of(mode, kinds[i].one, kinds[k].one));
        putchar('\n');
    }
}

/* -- policies -- */

static void print_policy(LockMode mode, const char *sql, LockPolicy policy, bool done)
{
    LockOpts opts = {.mode = mode,
                     .provenance = true,
                     .on_drop = policy,
                     .on_truncate = policy,
                     .on_partition = policy,
                     .on_rename = policy};
    Group g;
    group_begin(&g, &opts, create, 2);
    run_at(&g, 0, sql);
    printf(" %s |", outcome(&g));
    run_at(&g, 1, sql);
    printf(" %s |", outcome(&g));
    if (done)
        printf(" %s%s |\n",
               g.rows.len ? g.rows.ptr
               : g.works  ? "each shard's rows are deleted"
                          : "nothing",
               g.drop ? " DROP TABLE" : "");
    group_done(&g);
}

static void print_policies(void)
{
    static const char *const sqls[] = {"TRUNCATE TABLE t", "DROP TABLE t", ALTER "DROP PARTITION p0",
                                       "RENAME TABLE t TO out1"};
    static const char *const names[] = {[LOCK_POLICY_HOLD] = "hold",
                                        [LOCK_POLICY_IGNORE] = "ignore",
                                        [LOCK_POLICY_DELETE_ROWS] = "delete-shard-rows",
                                        [LOCK_POLICY_APPLY_WHEN_ALL] = "apply-when-all"};
    printf(
        "\n## Rows that go away, by the route's policy\n\nThe target's rows tell their shard (provenance "
        "columns). "
        "DM sends none of these to the target, and says nothing of it.\n\n"
        "| statement | policy | pessimistic, one | all | optimistic, one | all | done to the target by all "
        "|\n|---|---|---|---|---|---|---|\n");
    for (size_t s = 0; s < ARRAY_LEN(sqls); s++)
        for (int p = LOCK_POLICY_HOLD; p <= LOCK_POLICY_APPLY_WHEN_ALL; p++) {
            printf("| `%s` | `%s` |", sqls[s], names[p]);
            print_policy(LOCK_PESSIMISTIC, sqls[s], (LockPolicy)p, false);
            print_policy(LOCK_OPTIMISTIC, sqls[s], (LockPolicy)p, true);
        }
}

/* -- defaults -- */

static const struct {
    const char *what, *one, *two, *then; /* then: the second shard makes its definition the first's */
} defaults[] = {
    {"two defaults", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT DEFAULT 2", ALTER "ALTER c SET DEFAULT 1"},
    {"two defaults, not NULL", ALTER "ADD c INT NOT NULL DEFAULT 1", ALTER "ADD c INT NOT NULL DEFAULT 2",
     ALTER "ALTER c SET DEFAULT 1"},
    {"a default and none", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT", ALTER "ALTER c SET DEFAULT 1"},
    {"NULL and not NULL", ALTER "ADD c INT", ALTER "ADD c INT NOT NULL", ALTER "MODIFY c INT"},
    {"NULL and not NULL, one default", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT NOT NULL DEFAULT 1",
     ALTER "MODIFY c INT DEFAULT 1"},
    {"now()", ALTER "ADD n DATETIME DEFAULT now()", ALTER "ADD n DATETIME DEFAULT now()", NULL},
    {"now(), not NULL", ALTER "ADD n DATETIME NOT NULL DEFAULT now()",
     ALTER "ADD n DATETIME NOT NULL DEFAULT now()", NULL},
    {"uuid()", ALTER "ADD u CHAR(36) DEFAULT (uuid())", ALTER "ADD u CHAR(36) DEFAULT (uuid())", NULL},
    {"an expression", ALTER "ADD c INT DEFAULT (a + 1)", ALTER "ADD c INT DEFAULT (a + 1)", NULL},
};

static void put_default(const LockOpts *opts, size_t i)
{
    Group g;
    group_begin(&g, opts, create, 2);
    run_at(&g, 0, defaults[i].one);
    run_at(&g, 1, defaults[i].two);
    printf(" %s", outcome(&g));
    if (defaults[i].then) {
        run_at(&g, 1, defaults[i].then);
        printf(", %s", outcome(&g));
    }
    printf("%s |", g.works ? ", each shard's values are set" : "");
    group_done(&g);
}

static void print_defaults(void)
{
    printf("\n## Columns that shards fill differently\n\nRows that are there when a column is added get its "
           "default on their own "
           "shard. After a comma: when the second shard has made its definition the first's by the statement "
           "in the third column. Where rows of one shard can be told in the target, its values are set there "
           "(last column); else `data` asks: refill, copy again or accept.\n\n"
           "| | first shard | second shard | pessimistic | optimistic | pessimistic, rows tell their shard "
           "|\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        printf("| %s | `%s` | `%s`", defaults[i].what, defaults[i].one, defaults[i].two);
        if (defaults[i].then) printf("; `%s`", defaults[i].then);
        printf(" |");
        put_default(&(LockOpts){.mode = LOCK_PESSIMISTIC}, i);
        put_default(&(LockOpts){.mode = LOCK_OPTIMISTIC}, i);
        put_default(&(LockOpts){.mode = LOCK_PESSIMISTIC, .provenance = true, .refill_own = true}, i);
        putchar('\n');
    }
    printf(
        "\nDM refuses or blocks on the first ones. It does not notice that the data differ for `now()` and "
        "the "
        "like: the target's server fills its rows with a value of its own, which no shard has. Here the "
        "value that each shard's server gave is on record (`now()` is the statement's time in the binlog), "
        "and what nobody can compute again is said.\n");
}

/* -- against DM -- */

typedef struct Case {
    const char *numbers, *what;
    const char *one[3], *two[3];
    const char *dm_pessimistic, *dm_optimistic;
    const char *why; /* where DM's outcome is worse */
} Case;

static const Case cases[] = {
    {"002-009", "the same column", {ALTER "ADD c INT"}, {ALTER "ADD c INT"}, "ok", "ok", NULL},
    {"011",
     "int against float",
     {ALTER "ADD c INT"},
     {ALTER "ADD c FLOAT"},
     "stuck, a line in the log",
     "-",
     "the member whose change has no lossless join waits alone, and the lock names both definitions"},
    {"012 014 035 104",
     "two columns in another order",
     {ALTER "ADD c INT", ALTER "ADD d INT"},
     {ALTER "ADD d INT", ALTER "ADD c INT"},
     "stuck",
     "ok, another order of columns",
     "schemas are compared, not texts: independent changes may come in any order"},
    {"019",
     "truncate",
     {"TRUNCATE TABLE t"},
     {NULL},
     "not sent, in silence",
     "not sent, in silence",
     "the policy of the route decides; the default asks"},
    {"021 RENAME_TABLE",
     "rename inside the group",
     {"RENAME TABLE t TO t9"},
     {NULL},
     "\"already exists\" in the log",
     "not supported",
     "a member's identity follows the rename; nothing changes for the target"},
    {"031",
     "int against varchar",
     {ALTER "ADD c INT"},
     {ALTER "ADD c VARCHAR(9)"},
     "stuck",
     "the source is blocked",
     "no other table of that source waits"},
    {"032",
     "add, drop, add another",
     {ALTER "ADD c INT", ALTER "DROP c", ALTER "ADD d INT"},
     {ALTER "ADD d INT"},
     "unsupported",
     "ok",
     "what was added and dropped again leaves nothing behind"},
    {"033 107",
     "NOT NULL without default",
     {ALTER "ADD c INT NOT NULL"},
     {ALTER "ADD c INT NOT NULL"},
     "ok",
     "ok, waits for all",
     "rows of shards without it get the type's zero, which their own server will give them"},
    {"037",
     "different defaults",
     {ALTER "ADD c INT DEFAULT 0"},
     {ALTER "ADD c INT DEFAULT -1"},
     "stuck",
     "blocked",
     "one member waits; when its default is made equal, the rows are refilled or accepted"},
    {"038",
     "now()",
     {ALTER "ADD n DATETIME DEFAULT now()"},
     {ALTER "ADD n DATETIME DEFAULT now()"},
     "**data differ, unnoticed**",
     "**data differ, unnoticed**",
     "the moment of each shard is known from its binlog; the lock says data-differs and can keep each "
     "shard's own "
     "values"},
    {"040",
     "character sets",
     {ALTER "ADD c VARCHAR(9) CHARACTER SET utf8mb3"},
     {ALTER "ADD c VARCHAR(9) CHARACTER SET utf8mb4"},
     "stuck",
     "ok",
     "the target takes the wider character set"},
    {"043",
     "generated in two ways",
     {ALTER "ADD c INT AS (a + 1)"},
     {ALTER "ADD c INT AS (a + 2)"},
     "stuck",
     "blocked",
     "the member alone waits"},
    {"046 114", "drop column", {ALTER "DROP a"}, {ALTER "DROP a"}, "ok", "ok", NULL},
    {"049",
     "rename column",
     {ALTER "RENAME COLUMN a TO r"},
     {ALTER "CHANGE a r INT"},
     "ok",
     "ok, replays",
     NULL},
    {"050 051",
     "renamed to different names",
     {ALTER "RENAME COLUMN a TO r"},
     {ALTER "RENAME COLUMN a TO q"},
     "stuck",
     "blocked",
     "only the two members wait; skip or replace ends it"},
    {"PR 4758",
     "rename against drop and add",
     {ALTER "RENAME COLUMN a TO r"},
     {ALTER "DROP a, ADD r INT AFTER id"},
     "stuck",
     "**schemas equal, data differ, unnoticed**",
     "lineage tells the two apart"},
    {"056 065",
     "another position",
     {ALTER "MODIFY a BIGINT FIRST"},
     {ALTER "MODIFY a BIGINT"},
     "stuck",
     "ok",
     "the order of columns is no difference"},
    {"063",
     "mediumint against bigint",
     {ALTER "ADD c MEDIUMINT"},
     {ALTER "ADD c BIGINT"},
     "stuck",
     "rows ok, not noticed",
     "the target takes the wider type, and the lock stays until the shards agree"},
    {"067 130",
     "defaults changed differently",
     {ALTER "ALTER b SET DEFAULT 1"},
     {ALTER "ALTER b SET DEFAULT 2"},
     "stuck",
     "blocked, two manual unlocks",
     "one member waits; its next ALTER ends it"},
    {"085 086",
     "index visible, invisible",
     {ALTER "ALTER INDEX ib INVISIBLE"},
     {NULL},
     "36008",
     "not noticed",
     "indexes hold nobody, and the difference is shown"},
    {"109 110",
     "lengths",
     {ALTER "ADD c VARCHAR(3)"},
     {ALTER "ADD c VARCHAR(4)"},
     "-",
     "error",
     "the target takes the longer one"},
    {"117 147 153 154",
     "drop and add again on one shard",
     {ALTER "DROP b", ALTER "ADD b INT NOT NULL DEFAULT 7"},
     {NULL},
     "-",
     "11128, repaired by hand",
     "the target still holds the old values: the lock says so, with recipes"},
    {"119 121",
     "one index name, other columns",
     {ALTER "ADD INDEX ix (a)"},
     {ALTER "ADD INDEX ix (s)"},
     "**differs, not noticed**",
     "**differs, not noticed**",
     "the lock stays and names the index; no row waits"},
    {"124-127",
     "an index and back",
     {ALTER "ADD INDEX ix (a)", ALTER "DROP INDEX ix"},
     {NULL},
     "unsupported",
     "ok, the lock stays for ever",
     "equal members leave no lock"},
    {"128 129 131",
     "NULL and NOT NULL",
     {ALTER "MODIFY b INT DEFAULT 7"},
     {ALTER "MODIFY b INT DEFAULT 7"},
     "ok",
     "ok",
     NULL},
    {"136 137",
     "replace a unique key",
     {ALTER "DROP INDEX us, ADD UNIQUE KEY us (s, a, id)"},
     {ALTER "DROP INDEX us, ADD UNIQUE KEY us (s, a, id)"},
     "unsupported",
     "ok",
     "compared as a set of keys"},
    {"142 143",
     "add a partition",
     {ALTER "ADD PARTITION (PARTITION p2 VALUES LESS THAN (300))"},
     {ALTER "ADD PARTITION (PARTITION p2 VALUES LESS THAN (300))"},
     "ok",
     "unsupported",
     "partitions of a shard are its own affair: the target is not partitioned like it"},
    {"150",
     "shorten a varchar",
     {ALTER "MODIFY s VARCHAR(5) CHARACTER SET latin1"},
     {ALTER "MODIFY s VARCHAR(5) CHARACTER SET latin1"},
     "waits, ok",
     "**executed at once**",
     "the target shrinks when the last member has: rows of the others would not fit"},
    {"151", "int to double", {ALTER "MODIFY a DOUBLE"}, {ALTER "MODIFY a DOUBLE"}, "ok", "ok, replays", NULL},
};

static const char *case_outcome(LockMode mode, const Case *c)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = mode}, create, 2);
    for (size_t i = 0; i < 3 && c->one[i]; i++)
        run_at(&g, 0, c->one[i]);
    for (size_t i = 0; i < 3 && c->two[i]; i++)
        run_at(&g, 1, c->two[i]);
    const char *out = outcome(&g);
    group_done(&g);
    return out;
}

static void put_statements(const char *const *sqls)
{
    for (size_t i = 0; i < 3 && sqls[i]; i++)
        printf("%s`%s`", i ? "; " : "", sqls[i]);
    if (!sqls[0]) printf("nothing");
}

static void print_cases(void)
{
    printf("\n## Against DM\n\nThe numbers are those of DM's own integration tests. Where DM's outcome is "
           "worse, the last "
           "column says why this one is right.\n\n"
           "| DM's case | | first shard | second shard | DM pessimistic | DM optimistic | pessimistic | "
           "optimistic | why |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Case *c = &cases[i];
        printf("| %s | %s | ", c->numbers, c->what);
        put_statements(c->one);
        printf(" | ");
        put_statements(c->two);
        printf(" | %s | %s | %s | %s | %s |\n", c->dm_pessimistic, c->dm_optimistic,
               case_outcome(LOCK_PESSIMISTIC, c), case_outcome(LOCK_OPTIMISTIC, c), c->why ? c->why : "");
    }
}

void outcomes_print(void)
{
    printf("# Outcomes of schema changes on shards\n\n"
           "Made by `make docs` from what the lock manager does (`explore outcomes`); `make docs-check` "
           "compares.\n\n"
           "Two shard tables with one target, both at first:\n\n```sql\n%s;\n```\n\n",
           create);
    printf("What the words mean, when everything that may be written is written:\n\n"
           "| word | meaning |\n|---|---|\n"
           "| nothing | all agree and the target is as it was: the lock is gone, nobody waits |\n"
           "| one | all agree and the target has followed: the lock is gone, nobody waits |\n"
           "| join | nobody waits: the target holds the rows of both; the lock stays until they agree |\n"
           "| 1st, 2nd | rows of that shard wait behind its change; the other goes on |\n"
           "| both | rows of both wait behind their changes, until they agree or the operator decides |\n"
           "| data | equal definitions, other data: refill, copy again or accept |\n"
           "| ask | rows or a table went away: the operator is asked, or the route's policy |\n\n"
           "A shard that waits holds up neither another shard nor another table.\n\n");
    print_singles();
    print_pairs(LOCK_PESSIMISTIC);
    print_pairs(LOCK_OPTIMISTIC);
    print_policies();
    print_defaults();
    print_cases();
}
