/* What a world says of itself: a number for its state, words for a move. */
#include "world.h"
#include "base/poison.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ h >> 33;
}

uint64_t world_hash(const World *w)
{
    uint64_t h = lock_hash(w->lock);
    h = mix(h, (uint64_t)w->open << 8 | (uint64_t)w->running << 4 | (uint64_t)w->kills);
    h = mix(h, (uint64_t)w->fails << 16 | (uint64_t)w->decides << 8 | (uint64_t)w->decided << 2 |
                   (uint64_t)w->released << 1 | (uint64_t)w->dropped);
    h = mix(h, (uint64_t)(w->shut != 0) << 2 | (uint64_t)(w->alter != 0) << 1 |
                   (w->alter && w->alter == w->altered));
    h = mix(h, (uint64_t)(uintptr_t)w->table.schema);
    for (int i = 0; i < w->n_members; i++) {
        const Stream *s = &w->streams[i];
        h = mix(h, (uint64_t)s->read << 32 | (uint64_t)s->dispatched << 24 | (uint64_t)s->applied << 16 |
                       (uint64_t)s->held_from << 8 | (uint64_t)s->floor);
        h = mix(mix(mix(h, (uint64_t)s->gate), s->passed), s->written);
        h = mix(h, s->told << 8 | (uint64_t)s->recopied << 5 | (uint64_t)s->uncopied << 4 |
                       (uint64_t)s->work << 2 | (uint64_t)s->worked << 1 | (uint64_t)s->in);
        h = mix(h, (uint64_t)s->skipped << 32 | (uint64_t)s->cleared << 16 | (uint64_t)s->given_up);
        for (int k = 0; k < s->dispatched - s->applied; k++)
            h = mix(h, s->flying[k].target->id);
    }
    for (int i = 0; i < w->table.n_rows; i++) {
        uint64_t row = (uint64_t)w->table.rows[i].id;
        for (uint32_t c = 0; c < w->table.schema->n_columns; c++)
            row = mix(row, (uint64_t)w->table.rows[i].values[c]);
        h += mix(row, 7); /* in any order */
    }
    return h;
}

void move_words(const Game *g, const World *w, Move m, StrBuf *out)
{
    static const char *const names[] = {"read",
                                        "dispatch",
                                        "write",
                                        "floor passed its step",
                                        "all before its step written",
                                        "its rows are deleted",
                                        "told that its rows are deleted",
                                        "its table is copied again",
                                        "somebody decides",
                                        "drained",
                                        "alter",
                                        "altered",
                                        "the change of the target fails",
                                        "somebody decides to try again",
                                        "kill -9",
                                        "start"};
    bool of_member = m.kind <= MOVE_DECIDE;
    if (of_member) sb_printf(out, "member %d: ", m.member);
    sb_c(out, names[m.kind]);
    if (m.kind == MOVE_READ) {
        const Shard *s = &g->shards[m.member];
        sb_printf(out, " '%c'", s->program[w->streams[m.member].read]);
    }
    if (m.of) sb_printf(out, " '%c'", m.of);
    if (m.kind == MOVE_ALTER) {
        const TableSchema *from = w->table.schema, *to = w->alter_to->schema;
        sb_c(out, ":");
        for (uint32_t i = 0; i < to->n_columns; i++) {
            uint32_t was = w->alter_columns[i];
            Str old = was == NO_COLUMN ? STR("new") : from->columns[was].name;
            sb_printf(out, " " STR_FMT " " STR_FMT " (" STR_FMT ")", STR_ARG(to->columns[i].name),
                      STR_ARG(to->columns[i].column_type), STR_ARG(old));
        }
    }
    if (m.kill_after) sb_c(out, ", kill -9 when the new state is written");
}
