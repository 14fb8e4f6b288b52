// Memory for the head: one pair of columns, cut into regions of a few sizes, so that any set of series is read as views of one slice.

/** Samples a block; a block holds regions of one size. */
const blockSamples = 8192

const sizes: readonly number[] = [
  4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096,
]
const largestSmall = sizes.at(-1)!

/** The size of the region that `samples` samples get. */
export const regionSize = (samples: number): number => {
  if (samples > largestSmall) return Math.ceil(samples / blockSamples) * blockSamples
  for (const size of sizes) if (size >= samples) return size
  return largestSmall
}

const free = -1
const whole = -2
const none = -1

/**
 * Two columns of `capacity` samples, taken from the system when first touched. Regions of one size share blocks; a block with no region
 * left serves any size again. A few blocks are kept back for moving series when memory is short (`reserve`).
 */
export class Slab {
  readonly at: Float64Array
  readonly value: Float64Array
  readonly words: Uint32Array
  readonly blocks: number
  readonly #sizeOf: Int32Array
  readonly #used: Int32Array
  /** First free region of a block; the next one stands in the region's own first time. */
  readonly #firstFree: Int32Array
  readonly #before: Int32Array
  readonly #after: Int32Array
  readonly #partial = new Map<number, number>()
  readonly #reserve: number
  #freeBlocks: number
  #lowestFree = 0

  constructor(bytes: number) {
    this.blocks = Math.max(16, Math.floor(bytes / 16 / blockSamples))
    this.at = new Float64Array(this.blocks * blockSamples)
    this.value = new Float64Array(this.blocks * blockSamples)
    this.words = new Uint32Array(this.value.buffer)
    this.#sizeOf = new Int32Array(this.blocks).fill(free)
    this.#used = new Int32Array(this.blocks)
    this.#firstFree = new Int32Array(this.blocks).fill(none)
    this.#before = new Int32Array(this.blocks).fill(none)
    this.#after = new Int32Array(this.blocks).fill(none)
    this.#freeBlocks = this.blocks
    this.#reserve = Math.min(8, this.blocks >> 2)
  }

  get usedBytes(): number {
    return (this.blocks - this.#freeBlocks) * blockSamples * 16
  }
  /** Whether blocks beyond the reserve are free. */
  get hasRoom(): boolean {
    return this.#freeBlocks > this.#reserve
  }

  /** The first sample of a region of `size` (as `regionSize` gives it), or -1 when there is no room. */
  take(size: number, useReserve = false): number {
    if (size > largestSmall) return this.#takeWhole(size / blockSamples, useReserve)
    let block = this.#partial.get(size) ?? none
    if (block === none) {
      if (this.#freeBlocks <= (useReserve ? 0 : this.#reserve)) return -1
      block = this.#openBlock(size)
    }
    const region = this.#firstFree[block]!
    const next = this.at[region]!
    this.#firstFree[block] = next
    this.#used[block]!++
    if (next === none) this.#unlink(block, size)
    return region
  }

  give(region: number, size: number): void {
    const block = Math.floor(region / blockSamples)
    if (size > largestSmall) {
      this.#release(block, size / blockSamples)
      return
    }
    const wasFull = this.#firstFree[block] === none
    this.at[region] = this.#firstFree[block]!
    this.#firstFree[block] = region
    if (wasFull) this.#link(block, size)
    if (--this.#used[block]! === 0) {
      this.#unlink(block, size)
      this.#release(block, 1)
    }
  }

  #openBlock(size: number): number {
    let block = this.#lowestFree
    while (this.#sizeOf[block] !== free) block++
    this.#lowestFree = block + 1
    this.#freeBlocks--
    this.#sizeOf[block] = size
    this.#used[block] = 0
    const first = block * blockSamples
    const last = first + (Math.floor(blockSamples / size) - 1) * size
    for (let r = first; r < last; r += size) this.at[r] = r + size
    this.at[last] = none
    this.#firstFree[block] = first
    this.#link(block, size)
    return block
  }

  #takeWhole(count: number, useReserve: boolean): number {
    if (this.#freeBlocks - count < (useReserve ? 0 : this.#reserve)) return -1
    let run = 0
    for (let block = this.#lowestFree; block < this.blocks; block++) {
      run = this.#sizeOf[block] === free ? run + 1 : 0
      if (run < count) continue
      const first = block - count + 1
      this.#sizeOf.fill(whole, first, block + 1)
      this.#freeBlocks -= count
      return first * blockSamples
    }
    return -1
  }

  #release(block: number, count: number): void {
    this.#sizeOf.fill(free, block, block + count)
    this.#freeBlocks += count
    if (block < this.#lowestFree) this.#lowestFree = block
  }

  #link(block: number, size: number): void {
    const head = this.#partial.get(size) ?? none
    this.#before[block] = none
    this.#after[block] = head
    if (head !== none) this.#before[head] = block
    this.#partial.set(size, block)
  }

  #unlink(block: number, size: number): void {
    const before = this.#before[block]!
    const after = this.#after[block]!
    if (after !== none) this.#before[after] = before
    if (before !== none) this.#after[before] = after
    else this.#partial.set(size, after)
  }
}
