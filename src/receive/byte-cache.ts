// Remembers what a run of encoded bytes was decoded to, so that a known series costs a hash and a comparison, not a decoding.

interface Generation<V> {
  slots: Int32Array
  hashes: Uint32Array
  scopes: Float64Array
  from: Uint32Array
  values: V[]
  arena: Buffer
  view: DataView
  used: number
}

/**
 * A map from (scope, bytes) to a value. Bytes are compared whole, so two that share a hash are never mistaken. It holds at most
 * twice `entries` keys and twice `bytes` of them: when one generation is full the one before is forgotten.
 */
export class ByteCache<V> {
  readonly #entries: number
  readonly #bytes: number
  #young: Generation<V>
  #old: Generation<V> | null = null

  constructor(entries: number, bytes: number) {
    this.#entries = entries
    this.#bytes = bytes
    this.#young = generation(1024, 64 * 1024)
  }

  /** The value kept for `view[from … end)` under `scope`; the hash stays for a `set` that follows at once. */
  get(view: DataView, from: number, end: number, scope: number): V | undefined {
    const g = this.#young
    // Senders repeat themselves in the same order: the next key is mostly the one that came after the last, and needs no hash.
    const guess = this.#last + 1
    if (guess < g.values.length && g.scopes[guess] === scope && same(g, guess, view, from, end)) {
      this.#last = guess
      return g.values[guess]
    }
    const hash = hashOf(view, from, end, scope)
    this.#hash = hash
    const n = find(g, hash, view, from, end, scope)
    if (n >= 0) {
      this.#last = n
      return g.values[n]
    }
    if (this.#old === null) return undefined
    const older = find(this.#old, hash, view, from, end, scope)
    if (older < 0) return undefined
    const value = this.#old.values[older]!
    this.set(view, from, end, scope, value)
    return value
  }
  #hash = 0
  #last = -1

  /** Keeps a value for the bytes `get` was just asked for in vain. Nothing else may be asked in between. */
  set(view: DataView, from: number, end: number, scope: number, value: V): void {
    const size = end - from
    if (size > this.#bytes) return
    let g = this.#young
    if (g.values.length >= this.#entries || g.used + size > this.#bytes) {
      this.#old = g
      g = this.#young = generation(1024, 64 * 1024)
    }
    if (g.values.length * 2 >= g.slots.length) widen(g)
    if (g.used + size > g.arena.length) enlarge(g, size)
    const n = g.values.length
    this.#last = n
    g.hashes[n] = this.#hash
    g.scopes[n] = scope
    g.from[n] = g.used
    Buffer.from(view.buffer, view.byteOffset + from, size).copy(g.arena, g.used)
    g.used += size
    g.from[n + 1] = g.used
    g.values.push(value)
    place(g, n)
  }
}

const generation = <V>(slots: number, bytes: number): Generation<V> => {
  const arena = Buffer.allocUnsafeSlow(bytes)
  return {
    slots: new Int32Array(slots).fill(-1),
    hashes: new Uint32Array(slots),
    scopes: new Float64Array(slots),
    from: new Uint32Array(slots + 1),
    values: [],
    arena,
    view: new DataView(arena.buffer, arena.byteOffset, arena.length),
    used: 0,
  }
}

// MurmurHash3's body over 32-bit words, read wherever they lie.
const hashOf = (view: DataView, from: number, end: number, scope: number): number => {
  let h = Math.imul(scope, 0x9e3779b1) ^ (end - from)
  let at = from
  for (; at + 4 <= end; at += 4) {
    h = Math.imul(h ^ Math.imul(view.getUint32(at, true), 0xcc9e2d51), 0x1b873593)
    h = (h << 13) | (h >>> 19)
  }
  for (; at < end; at++) h = Math.imul(h ^ view.getUint8(at), 0x85ebca6b)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  return h >>> 0
}

/** The number of a key, -1 when it is not there. */
const find = <V>(
  g: Generation<V>,
  hash: number,
  view: DataView,
  from: number,
  end: number,
  scope: number,
): number => {
  const mask = g.slots.length - 1
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const n = g.slots[slot]!
    if (n < 0) return -1
    if (g.hashes[n] === hash && g.scopes[n] === scope && same(g, n, view, from, end)) return n
  }
}

const same = <V>(g: Generation<V>, n: number, view: DataView, from: number, end: number): boolean => {
  const base = g.from[n]!
  const size = end - from
  if (g.from[n + 1]! - base !== size) return false
  let i = 0
  for (; i + 4 <= size; i += 4)
    if (g.view.getInt32(base + i, true) !== view.getInt32(from + i, true)) return false
  for (; i < size; i++) if (g.view.getUint8(base + i) !== view.getUint8(from + i)) return false
  return true
}

const place = <V>(g: Generation<V>, n: number): void => {
  const mask = g.slots.length - 1
  let slot = g.hashes[n]! & mask
  while (g.slots[slot]! >= 0) slot = (slot + 1) & mask
  g.slots[slot] = n
}

const widen = <V>(g: Generation<V>): void => {
  const size = g.slots.length * 2
  g.slots = new Int32Array(size).fill(-1)
  const hashes = new Uint32Array(size)
  hashes.set(g.hashes)
  g.hashes = hashes
  const scopes = new Float64Array(size)
  scopes.set(g.scopes)
  g.scopes = scopes
  const from = new Uint32Array(size + 1)
  from.set(g.from)
  g.from = from
  for (let n = 0; n < g.values.length; n++) place(g, n)
}

const enlarge = <V>(g: Generation<V>, size: number): void => {
  const arena = Buffer.allocUnsafeSlow(Math.max(g.arena.length * 2, g.used + size))
  g.arena.copy(arena, 0, 0, g.used)
  g.arena = arena
  g.view = new DataView(arena.buffer, arena.byteOffset, arena.length)
}
