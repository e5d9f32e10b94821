/* The control socket of a running task: <state-dir>/control.sock, mode 0600.
 *
 * One JSON object a line each way; a connection may send any number of requests, each is answered in turn:
 *   request                                                      answer
 *   {"verb":"status","ask":true}                                 {"ok":true,"status":{…}}
 *   {"verb":"pause","source":"s1","by":"anna"}, or "resume"      {"ok":true}
 *   {"verb":"locks","target":"db.t"}                             {"ok":true,"locks":[…]}
 *   {"verb":"decide","decision":"replace","target":"db.t",       {"ok":true,"words":"…"}
 *    "source":"s1","table":"db.t_1","sql":["ALTER TABLE …"],
 *    "by":"anna","preview":true}
 *   {"verb":"conflict","decision":"rename","id":7,               {"ok":true,"words":"…"}
 *    "set":["id=9"],"target":"db.t","by":"anna","preview":true}
 *   {"verb":"stop"}                                              {"ok":true}; the connection ends when the
 *                                                                process lets go of the task
 *   anything else                                                {"ok":false,"error":{"code":"SM-1001",…}}
 *
 * No source, target or table, or null: all. The server side is one thread; the client side blocks its caller.
 */
#ifndef SM_OPS_CONTROL_H
#define SM_OPS_CONTROL_H

#include <jansson.h>
#include "base/err.h"

typedef struct Control Control;

/* Answers one request with a new reference. Control's thread; may block (others wait meanwhile). */
typedef json_t *(*ControlHandler)(void *ctx, const json_t *request);

/* Binds the socket (an old file of a killed process is replaced: the caller holds the task's lock) and starts
 * the thread. ERR_IO. Main thread, before other threads. */
NODISCARD bool control_open(const char *dir, ControlHandler handler, void *ctx, Control **out, Err *err);
/* Ends the thread and removes the socket file. Clients that sent requests stay connected until control_free:
 * they see the end of file only when the task's lock is free again. NULL allowed. */
void control_stop(Control *c);
void control_free(Control *c);

/* Sends one request and waits up to timeout_ms for the answer. ERR_OPS_NOT_RUNNING when nobody listens; an
 * answer with "ok": false becomes *err as the server said it; ERR_IO on a time-out. until_end: waits for the
 * end of the connection, too. *reply (new reference) may be NULL when not wanted. Any thread. */
typedef struct ControlCall {
    const char *dir;
    int64_t timeout_ms;
    bool until_end;
} ControlCall;
NODISCARD bool control_call(const ControlCall *call, const json_t *request, json_t **reply, Err *err);

#endif
