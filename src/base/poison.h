/* Last include of every .c: calls that cut, overflow or use shared static state are compile errors. */
#ifndef SM_BASE_POISON_H
#define SM_BASE_POISON_H
#pragma GCC poison sprintf vsprintf strcpy strcat strncpy strncat atoi atol strtok localtime gmtime gets
#endif
