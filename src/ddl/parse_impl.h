/* Between ddl/parse.c, the tokens (token.re) and the grammar (grammar.y). */
#ifndef SM_DDL_PARSE_IMPL_H
#define SM_DDL_PARSE_IMPL_H

#include "ddl/parse.h"

typedef struct DdlTok {
    Str text;       /* of the source; of quoted names and strings the decoded text */
    const char *at; /* where it starts */
    const char *end;
} DdlTok;

typedef struct DdlLex {
    const char *at, *end; /* *end is 0 */
    Arena *arena;
    Flavor flavor;
    uint32_t version;
    bool ansi_quotes, no_backslash_escapes;
    unsigned conditional; /* open conditional comments */
    bool broken;          /* a quote or comment never ends, a byte that starts no token */
    int last;             /* the token before */
} DdlLex;

void ddl_lex_init(DdlLex *l, Str sql, const DdlContext *ctx, Arena *arena);
/* The next token's number of the grammar, 0 at the end or when broken. */
int ddl_lex_next(DdlLex *l, DdlTok *tok);
/* Does this token number stand for a word (keyword or name without quotes)? For canonical texts. */
typedef enum DdlTokClass {
    DDL_CLASS_WORD,
    DDL_CLASS_QUOTED,
    DDL_CLASS_STRING,
    DDL_CLASS_INTRODUCED, /* _utf8mb4 before a string; N */
    DDL_CLASS_NUMBER,
    DDL_CLASS_HEX, /* text: hex digits */
    DDL_CLASS_BIT, /* text: binary digits */
    DDL_CLASS_SYMBOL,
} DdlTokClass;
DdlTokClass ddl_tok_class(int token);

/* What the grammar's actions share. */
typedef struct DdlParse {
    const DdlContext *ctx;
    Arena *arena;
    DdlStmt *stmt;
    DdlTok where; /* the token being given to the grammar */
    bool failed;
    const char *unread; /* why a literal cannot be read, when failed */
    DdlColumn *column;  /* under construction */
    DdlKey *key;
    DdlCheck *check;
    DdlPartition *part;
    DdlPartitioning *partitioning;
    uint32_t count, algorithm; /* PARTITIONS n, KEY ALGORITHM = n */
    DdlChange **change_tail;   /* ends of the statement's lists */
    DdlTable **table_tail;
    DdlOption **option_tail;
} DdlParse;

typedef struct DdlNames {
    DdlName *head, *tail;
} DdlNames;
typedef struct DdlParts {
    DdlKeyPart *head, *tail;
} DdlParts;
typedef struct DdlChanges {
    DdlChange *head, *tail;
} DdlChanges;
typedef struct DdlOptions {
    DdlOption *head, *tail;
} DdlOptions;
typedef struct DdlPartitions {
    DdlPartition *head, *tail;
} DdlPartitions;

#define DDL_NEW(p, Type) arena_new((p)->arena, Type)
#define DDL_APPEND(list, item)                                                                               \
    do {                                                                                                     \
        if ((list).tail)                                                                                     \
            (list).tail->next = (item);                                                                      \
        else                                                                                                 \
            (list).head = (item);                                                                            \
        (list).tail = (item);                                                                                \
    } while (0)

/* -- ddl/build.c: what the actions do -- */
void ddl_fail(DdlParse *p);
/* The canonical text between two brackets. */
Str ddl_text_between(DdlParse *p, DdlTok open, DdlTok close);
Str ddl_upper(DdlParse *p, Str s);
Str ddl_lower(DdlParse *p, Str s);
Str ddl_join(DdlParse *p, const char *a, Str b);
Str ddl_hex(DdlParse *p, Str digits);
/* '…' and _introducer'…' as the servers take them: introducer empty, or "_latin1", "N". */
DdlValue ddl_string(DdlParse *p, Str introducer, Str text);
/* x'…' and _introducer x'…' */
DdlValue ddl_bytes(DdlParse *p, Str introducer, Str digits);
uint32_t ddl_number(DdlParse *p, Str digits);
DdlNames ddl_names_add(DdlParse *p, DdlNames list, Str name);
DdlNames ddl_members_add(DdlParse *p, DdlNames list, DdlValue member);
DdlValue ddl_next_value(DdlParse *p, TableName sequence);
void ddl_table_add(DdlParse *p, TableName name);
/* A change that stands nowhere yet. */
DdlChange *ddl_change(DdlParse *p, DdlChangeKind kind);
DdlChange *ddl_change_named(DdlParse *p, DdlChangeKind kind, bool if_exists, Str name);
/* At the end of the statement's changes. */
void ddl_change_add(DdlParse *p, DdlChange *c);
void ddl_changes_add(DdlParse *p, DdlChanges list, bool if_not_exists);
void ddl_changes_front(DdlParse *p, DdlChanges list);
DdlOption *ddl_option(DdlParse *p, Str name, DdlValue value);
void ddl_option_add(DdlParse *p, DdlOption *o);
void ddl_db_option(DdlParse *p, const char *name, Str value);
void ddl_type_named(DdlParse *p, Str word, Str length, Str scale);
void ddl_key_begin(DdlParse *p, DdlKeyKind kind, Str constraint);
void ddl_key_columns(DdlParse *p, DdlNames names);
void ddl_index_added(DdlParse *p);
void ddl_index_dropped(DdlParse *p, bool if_exists, Str name);
void ddl_partition_by(DdlParse *p, const char *method, Str expr, DdlNames columns);
void ddl_subpartition_by(DdlParse *p, const char *method, Str expr, DdlNames columns);
void ddl_subpartition_add(DdlParse *p, Str name);

/* The grammar, as Lemon makes it. */
void *DdlGrammarAlloc(void *(*alloc)(size_t));
void DdlGrammarFree(void *p, void (*release)(void *));
void DdlGrammar(void *p, int token, DdlTok tok, DdlParse *parse);

#endif
