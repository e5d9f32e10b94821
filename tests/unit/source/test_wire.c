/* Dumps of real servers, packet by packet as they came: what a server sends and no file holds. */
#include <jansson.h>
#include "assemble_world.h"
#include "source/frame.h"
#include "base/poison.h"

typedef struct Wire {
    json_t *manifest, *about;
    StrBuf bytes;
    Reader r;
    Frame frame;
    FormatDescription fmt;
    Arena arena;
    unsigned count[256];
    uint64_t beats_at; /* the position in the last heartbeat */
} Wire;

static void wire_open(Wire *w, const char *name)
{
    *w = (Wire){.manifest = json_load_file("fixtures/binlog/MANIFEST.json", 0, NULL)};
    char path[200];
    json_t *list = json_object_get(w->manifest, "wire");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "name")), name) == 0)
            w->about = json_array_get(list, i);
    ck_assert_msg(w->about != NULL, "%s is not in the manifest", name);
    snprintf(path, sizeof path, "fixtures/binlog/%s.packets", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: run from the top of the repository", path);
    enum { MOST = 1 << 20 };
    sb_reserve(&w->bytes, MOST);
    sb_wrote(&w->bytes, fread(w->bytes.ptr, 1, MOST, f));
    fclose(f);
    w->r = reader_of(sb_view(&w->bytes));
}

static void wire_close(Wire *w)
{
    frame_done(&w->frame);
    arena_done(&w->arena);
    sb_done(&w->bytes);
    json_decref(w->manifest);
}

/* The next event, placed as the stream does it; false behind the last. Rotations and heartbeats come with
 * *ours set: they are none of the assembler's. */
static bool wire_next(Wire *w, RawEvent *ev, bool *ours)
{
    Err err = {0};
    if (reader_left(&w->r) == 0) return false;
    uint32_t len = reader_u32(&w->r);
    *ev = (RawEvent){.whole = reader_str(&w->r, len)};
    ck_assert(!w->r.failed && ev->whole.len > EVENT_HEADER_LEN);
    unsigned type = (uint8_t)ev->whole.ptr[4];
    bool sum = type != EVENT_FORMAT_DESCRIPTION;
    ck_assert_msg(event_split(ev->whole, sum, &ev->header, &ev->body, &err), "%s", err.message);
    w->count[type]++;
    RotateEvent at;
    *ours = type == EVENT_ROTATE || type == EVENT_HEARTBEAT || type == EVENT_HEARTBEAT_V2;
    if (type == EVENT_ROTATE) {
        ck_assert(event_rotate(ev->body, &at, &err));
        frame_move(&w->frame, at.file, at.pos);
    } else if (*ours) {
        ck_assert_msg(event_heartbeat(&ev->header, ev->body, &at, &err), "%s", err.message);
        ck_assert(frame_heartbeat(&w->frame, &ev->header, &at, &w->beats_at));
    } else {
        if (type == EVENT_FORMAT_DESCRIPTION)
            ck_assert(event_format_description(ev->whole, &w->arena, &w->fmt, &err));
        ck_assert_msg(frame_place(&w->frame, &ev->header, &ev->start_pos, &ev->end_pos, &err), "%s",
                      err.message);
    }
    ev->file = sb_view(&w->frame.file);
    return true;
}

/* Everything goes through an assembler that keeps positions; db.a is routed. */
static void wire_assemble(Wire *w, World *world)
{
    RawEvent ev;
    bool ours;
    Err err = {0};
    while (wire_next(w, &ev, &ours)) {
        if (ours) continue;
        bool ok = assembler_event(world->a, &w->fmt, &ev, &err);
        ck_assert_msg(ok, "%s: %s", event_type_name(ev.header.type), err.message);
    }
    ck_assert(!assembler_in_transaction(world->a));
    ck_assert_str_eq(w->frame.file.ptr, json_string_value(json_object_get(w->about, "file")));
    ck_assert_uint_eq(w->frame.pos, json_integer_value(json_object_get(w->about, "end")));
    unsigned n = 0;
    for (unsigned i = 0; i < 256; i++)
        n += w->count[i];
    ck_assert_uint_eq(n, json_integer_value(json_object_get(w->about, "packets")));
}

/* The rows of `INSERT … (1), (2)` and `UPDATE … WHERE id = 2`, and nothing else. */
static void check_rows(const World *world)
{
    uint32_t ids[8];
    size_t n = 0;
    for (size_t i = 0; i < world->n_txns; i++)
        for (size_t k = 0; k < world->txns[i]->n_ops; k++) {
            const RowOp *op = &world->txns[i]->ops[k];
            ck_assert_uint_lt(n, ARRAY_LEN(ids));
            ids[n++] = image_id(op, &op->after);
        }
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(ids[0], 1);
    ck_assert_uint_eq(ids[1], 2);
    ck_assert_uint_eq(ids[2], 2);
}

START_TEST(dummies_of_mariadb)
{
    Wire w;
    World world;
    wire_open(&w, "wire_dummies");
    world_init(&world, FLAVOR_MARIADB, false);
    wire_assemble(&w, &world);
    ck_assert_uint_eq(w.count[EVENT_USER_VAR], 1); /* for what is too short for a QUERY */
    ck_assert_uint_ge(w.count[EVENT_QUERY], 6);
    ck_assert_uint_eq(w.count[EVENT_MARIADB_GTID] + w.count[EVENT_GTID_LIST], 0);
    check_rows(&world);
    world_done(&world);
    wire_close(&w);
}
END_TEST

START_TEST(heartbeats_of_mysql)
{
    Wire w;
    World world;
    wire_open(&w, "wire_heartbeats_v2");
    world_init(&world, FLAVOR_MYSQL, false);
    wire_assemble(&w, &world);
    ck_assert_uint_ge(w.count[EVENT_HEARTBEAT_V2], 3);
    ck_assert_uint_eq(w.count[EVENT_HEARTBEAT], 0);
    ck_assert_uint_eq(w.beats_at, json_integer_value(json_object_get(w.about, "end")));
    check_rows(&world);
    world_done(&world);
    wire_close(&w);
}
END_TEST

static Suite *wire_suite(void)
{
    Suite *s = suite_create("source/wire");
    TCase *c = tcase_create("packets");
    tcase_add_test(c, dummies_of_mariadb);
    tcase_add_test(c, heartbeats_of_mysql);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(wire_suite)
