/* Searches in the tables of unwind.h: the mapping that has an address, and the rule for it. */
#pragma once

static __always_inline struct unwind_mapping *unwind_find_mapping(struct unwind_state *state,
                                                                  u64 pc)
{
    u32 at = state->mapping, zero = 0;
    struct unwind_mapping *mapping = unwind_mappings.lookup(&at);
    if (mapping && mapping->start <= pc && pc < mapping->end)
        return mapping;
    struct unwind_active *active = unwind_active.lookup(&zero);
    if (!active)
        return 0;
    u64 word = *(volatile u64 *)active; /* one load, so that half and count belong together */
    u32 first = (u32)word & 1 ? UNWIND_MAX_MAPPINGS : 0;
    struct unwind_search *search = &state->search;
    search->low = first;
    search->high = first + (u32)(word >> 32);
    REPEAT(13) /* 2^12 mappings */
    {
        if (search->low >= search->high)
            break;
        u32 middle = (search->low + search->high) >> 1;
        mapping = unwind_mappings.lookup(&middle);
        if (!mapping)
            break;
        if (mapping->start <= pc)
            search->low = middle + 1;
        else
            search->high = middle;
    }
    if (search->low == first)
        return 0;
    at = search->low - 1;
    mapping = unwind_mappings.lookup(&at);
    if (!mapping || pc < mapping->start || pc >= mapping->end)
        return 0;
    state->mapping = at;
    return mapping;
}

/* The rule word at pc, 0 (UNWIND_KIND_NONE) where there is none. */
static __always_inline u32 unwind_find_word(struct unwind_state *state,
                                            struct unwind_mapping *mapping, u64 pc)
{
    u64 offset = pc - mapping->base;
    u64 number = offset >> UNWIND_BLOCK_SHIFT;
    if (pc < mapping->base || number >= mapping->count)
        return 0;
    struct unwind_search *search = &state->search;
    u32 at = mapping->blocks + (u32)number;
    struct unwind_block *block = unwind_blocks.lookup(&at);
    if (!block)
        return 0;
    u32 first = mapping->rows + block->first;
    search->low = first;
    search->high = first + block->count;
    search->word = 0;
    REPEAT(UNWIND_BLOCK_SHIFT + 2)
    {
        if (search->low >= search->high)
            break;
        u32 middle = (search->low + search->high) >> 1;
        u64 *row = unwind_rows.lookup(&middle);
        if (!row)
            break;
        if (*row >> 32 <= offset) {
            search->word = (u32)*row;
            search->low = middle + 1;
        } else {
            search->high = middle;
        }
    }
    if (search->low != first || !block->first)
        return search->word;
    at = first - 1; /* the rule in force where the block begins */
    u64 *row = unwind_rows.lookup(&at);
    return row ? (u32)*row : 0;
}
