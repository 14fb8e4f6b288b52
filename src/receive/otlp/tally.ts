// What a request of spans or log records did not bring through whole: items refused, and parts left out or cut.

export type Refusal = 'bad_id' | 'too_old' | 'too_far_ahead'
/** Parts that were changed, by what was done. */
export type Change =
  | 'attributes_left_out'
  | 'duplicate_attributes'
  | 'events_left_out'
  | 'invalid_utf8'
  | 'nested_too_deep'
  | 'values_cut'
  | 'links_with_bad_ids'

export class Tally {
  readonly refused = new Map<Refusal, { count: number; example: string }>()
  readonly changed = new Map<Change, number>()
  /** Content that was dropped, by family (content.ts). */
  readonly content = new Map<string, number>()
  taken = 0
  repeated = 0

  refuse(reason: Refusal, example: () => string): void {
    const known = this.refused.get(reason)
    if (known) known.count++
    else this.refused.set(reason, { count: 1, example: example() })
  }

  change(what: Change, by = 1): void {
    this.changed.set(what, (this.changed.get(what) ?? 0) + by)
  }

  dropContent(family: string): void {
    this.content.set(family, (this.content.get(family) ?? 0) + 1)
  }

  get rejected(): number {
    let n = 0
    for (const { count } of this.refused.values()) n += count
    return n
  }
}
