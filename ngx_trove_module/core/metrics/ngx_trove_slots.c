
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_gauges.h"
#include "ngx_trove_siphash.h"
#include "ngx_trove_slots.h"


#define NGX_TROVE_SLOTS_ALIGN  64


/* followed by n slots, and a gauge for each: how often a process holds it */
struct ngx_trove_slots_s {
    uint64_t                  n;
    uint64_t                  size;          /* of a slot */
    uint64_t                  held;          /* slots that are not kept */
    u_char                    pad[NGX_TROVE_SLOTS_ALIGN - 3 * sizeof(uint64_t)];
};


static size_t ngx_trove_slots_gauges_at(ngx_uint_t n, size_t size);
static ngx_trove_gauges_t *ngx_trove_slots_gauges(ngx_trove_slots_t *slots);
static ngx_trove_slot_t *ngx_trove_slots_at(ngx_trove_slots_t *slots,
    ngx_uint_t i);
static void ngx_trove_slots_hash(ngx_str_t *name, uint64_t hash[2]);
static ngx_trove_slot_t *ngx_trove_slots_find(ngx_trove_slots_t *slots,
    uint64_t name[2], ngx_trove_slot_t **room);
static void ngx_trove_slots_add(ngx_trove_slots_t *slots,
    ngx_trove_slot_t *slot, uint64_t name[2], ngx_uint_t kept);
static ngx_uint_t ngx_trove_slots_used(ngx_trove_slot_t *slot);
static ngx_trove_slot_t *ngx_trove_slots_keep_name(ngx_trove_slots_t *slots,
    uint64_t name[2]);
static void ngx_trove_slots_remove(ngx_trove_slots_t *slots, ngx_uint_t i);
static void ngx_trove_slots_sweep(ngx_trove_slots_t *slots);


size_t
ngx_trove_slots_size(ngx_uint_t n, size_t size)
{
    return ngx_trove_slots_gauges_at(n, size) + ngx_trove_gauges_size(n);
}


static size_t
ngx_trove_slots_gauges_at(ngx_uint_t n, size_t size)
{
    return ngx_align(sizeof(ngx_trove_slots_t) + n * size,
                     NGX_TROVE_SLOTS_ALIGN);
}


ngx_trove_slots_t *
ngx_trove_slots_create(void *addr, ngx_uint_t n, size_t size)
{
    ngx_trove_slots_t  *slots;

    ngx_memzero(addr, ngx_trove_slots_gauges_at(n, size));

    slots = addr;
    slots->n = n;
    slots->size = size;

    (void) ngx_trove_gauges_create(ngx_trove_slots_gauges(slots), n);

    return slots;
}


static ngx_trove_gauges_t *
ngx_trove_slots_gauges(ngx_trove_slots_t *slots)
{
    return (ngx_trove_gauges_t *)
               ((u_char *) slots
                + ngx_trove_slots_gauges_at(slots->n, slots->size));
}


static ngx_trove_slot_t *
ngx_trove_slots_at(ngx_trove_slots_t *slots, ngx_uint_t i)
{
    return (ngx_trove_slot_t *)
               ((u_char *) slots + sizeof(ngx_trove_slots_t)
                + i * slots->size);
}


static void
ngx_trove_slots_hash(ngx_str_t *name, uint64_t hash[2])
{
    /* names are not chosen by attackers: no secret is needed */

    static u_char  key[NGX_TROVE_SIPHASH_KEY_LEN];

    ngx_trove_siphash(key, name->data, name->len, hash);
}


/*
 * Searches from the position given by the hash to the next slot that was never
 * used; there may be many in between.  A released slot, 0 1, is skipped,
 * because others may follow it.  *room is set to the first slot of either
 * kind, or to NULL.
 */

static ngx_trove_slot_t *
ngx_trove_slots_find(ngx_trove_slots_t *slots, uint64_t name[2],
    ngx_trove_slot_t **room)
{
    ngx_uint_t         i;
    ngx_trove_slot_t  *slot;

    *room = NULL;

    for (i = 0; i < slots->n; i++) {
        slot = ngx_trove_slots_at(slots, (name[0] + i) % slots->n);

        if (slot->name[0] == name[0] && slot->name[1] == name[1]) {
            return slot;
        }

        if (ngx_trove_slots_used(slot)) {
            continue;
        }

        if (*room == NULL) {
            *room = slot;
        }

        if (slot->name[1] == 0) {
            break;
        }
    }

    return NULL;
}


/* a process killed here leaves the slot free, or to be swept */

static void
ngx_trove_slots_add(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot,
    uint64_t name[2], ngx_uint_t kept)
{
    ngx_memzero(slot + 1, slots->size - sizeof(ngx_trove_slot_t));

    slot->kept = kept;
    slots->held += !kept;

    __atomic_store_n(&slot->name[1], name[1], __ATOMIC_RELEASE);
    __atomic_store_n(&slot->name[0], name[0], __ATOMIC_RELEASE);
}


static ngx_uint_t
ngx_trove_slots_used(ngx_trove_slot_t *slot)
{
    return slot->name[0] != 0 || slot->name[1] > 1;
}


ngx_trove_slot_t *
ngx_trove_slots_keep(ngx_trove_slots_t *slots, ngx_str_t *name)
{
    uint64_t  hash[2];

    ngx_trove_slots_hash(name, hash);

    return ngx_trove_slots_keep_name(slots, hash);
}


static ngx_trove_slot_t *
ngx_trove_slots_keep_name(ngx_trove_slots_t *slots, uint64_t name[2])
{
    ngx_trove_slot_t  *slot, *room;

    slot = ngx_trove_slots_find(slots, name, &room);

    if (slot) {

        if (!slot->kept) {
            slot->kept = 1;
            slots->held--;
        }

        return slot;
    }

    if (room) {
        ngx_trove_slots_add(slots, room, name, 1);
    }

    return room;
}


ngx_trove_slot_t *
ngx_trove_slots_acquire(ngx_trove_slots_t *slots, ngx_str_t *name,
    ngx_pid_t pid)
{
    uint64_t                  hash[2];
    ngx_trove_slot_t         *slot, *room;
    ngx_trove_gauges_t       *gauges;
    ngx_trove_gauges_slot_t  *mine;

    ngx_trove_slots_hash(name, hash);

    slot = ngx_trove_slots_find(slots, hash, &room);

    if (slot && slot->kept) {
        return slot;
    }

    gauges = ngx_trove_slots_gauges(slots);

    mine = ngx_trove_gauges_claim(gauges, pid);
    if (mine == NULL) {
        return NULL;
    }

    if (slot == NULL) {

        if (room == NULL
            || slots->held >= slots->n / NGX_TROVE_SLOTS_HELD)
        {
            ngx_trove_slots_sweep(slots);

            if (slots->held >= slots->n / NGX_TROVE_SLOTS_HELD) {
                return NULL;
            }

            (void) ngx_trove_slots_find(slots, hash, &room);
        }

        if (room == NULL) {
            return NULL;
        }

        slot = room;
        ngx_trove_slots_add(slots, slot, hash, 0);
    }

    ngx_trove_gauges_up(mine, ngx_trove_slots_index(slots, slot));

    return slot;
}


void
ngx_trove_slots_release(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot,
    ngx_pid_t pid)
{
    ngx_uint_t                i;
    ngx_trove_gauges_t       *gauges;
    ngx_trove_gauges_slot_t  *mine;

    if (slot->kept) {
        return;
    }

    gauges = ngx_trove_slots_gauges(slots);
    i = ngx_trove_slots_index(slots, slot);

    mine = ngx_trove_gauges_claim(gauges, pid);

    if (mine) {
        ngx_trove_gauges_down(mine, i);
    }

    if (ngx_trove_gauges_one(gauges, i) == 0) {
        ngx_trove_slots_remove(slots, i);
    }
}


/* a released slot followed by an unused one becomes unused as well */

static void
ngx_trove_slots_remove(ngx_trove_slots_t *slots, ngx_uint_t i)
{
    ngx_uint_t         n;
    ngx_trove_slot_t  *slot, *next;

    slot = ngx_trove_slots_at(slots, i);

    slot->name[0] = 0;
    slot->name[1] = 1;

    if (slots->held) {
        slots->held--;
    }

    next = ngx_trove_slots_at(slots, (i + 1) % slots->n);

    if (next->name[0] || next->name[1]) {
        return;
    }

    for (n = 0; n < slots->n; n++) {
        slot = ngx_trove_slots_at(slots, (i + slots->n - n) % slots->n);

        if (ngx_trove_slots_used(slot) || slot->name[1] == 0) {
            return;
        }

        slot->name[1] = 0;
    }
}


/* frees slots of killed processes, and corrects the count of held slots */

static void
ngx_trove_slots_sweep(ngx_trove_slots_t *slots)
{
    uint64_t             held;
    ngx_uint_t           i;
    ngx_trove_slot_t    *slot;
    ngx_trove_gauges_t  *gauges;

    gauges = ngx_trove_slots_gauges(slots);
    held = 0;

    for (i = 0; i < slots->n; i++) {
        slot = ngx_trove_slots_at(slots, i);

        if (!ngx_trove_slots_used(slot) || slot->kept) {
            continue;
        }

        if (ngx_trove_gauges_one(gauges, i)) {
            held++;

        } else {
            ngx_trove_slots_remove(slots, i);
        }
    }

    slots->held = held;
}


void
ngx_trove_slots_forget(ngx_trove_slots_t *slots, ngx_pid_t pid)
{
    ngx_trove_gauges_release(ngx_trove_slots_gauges(slots), pid);
}


ngx_uint_t
ngx_trove_slots_index(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot)
{
    return ((u_char *) slot - (u_char *) ngx_trove_slots_at(slots, 0))
           / slots->size;
}


ngx_trove_slot_t *
ngx_trove_slots_get(ngx_trove_slots_t *slots, ngx_uint_t i)
{
    ngx_trove_slot_t  *slot;

    slot = ngx_trove_slots_at(slots, i);

    return (i < slots->n && ngx_trove_slots_used(slot)) ? slot : NULL;
}


ngx_trove_slot_t *
ngx_trove_slots_copy(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot)
{
    ngx_trove_slot_t  *copy, *room;

    if (slot->kept) {
        return ngx_trove_slots_keep_name(slots, slot->name);
    }

    copy = ngx_trove_slots_find(slots, slot->name, &room);

    if (copy) {
        return copy;
    }

    if (slots->held >= slots->n / NGX_TROVE_SLOTS_HELD) {
        return NULL;
    }

    if (room) {
        ngx_trove_slots_add(slots, room, slot->name, 0);
    }

    return room;
}


ngx_uint_t
ngx_trove_slots_count(ngx_trove_slots_t *slots)
{
    return slots->n;
}
