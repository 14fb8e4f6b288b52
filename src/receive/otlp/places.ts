// Where repeated fields lie in a message: a list that is filled anew for each, without new memory.

export class Places {
  /** From and end by turns; only the first `count` of them. */
  readonly list: number[] = []
  count = 0

  clear(): void {
    this.count = 0
  }

  add(from: number, end: number): void {
    this.list[this.count++] = from
    this.list[this.count++] = end
  }
}
