// Fast non-cryptographic hashes of text: two independent 32-bit lanes that together make 64 bits.

/** MurmurHash3's mixing over UTF-16 units, two lanes with different seeds; writes low and high words to `out`. */
export const hashInto = (parts: readonly string[], salt: number, out: Uint32Array): void => {
  let a = 0x9747b28c ^ salt
  let b = 0x85ebca6b ^ Math.imul(salt, 0x27d4eb2f)
  for (let p = 0; p < parts.length; p++) {
    const text = parts[p]!
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      a = Math.imul(a ^ unit, 0xcc9e2d51)
      a = (a << 15) | (a >>> 17)
      b = Math.imul(b ^ unit, 0x1b873593)
      b = (b << 13) | (b >>> 19)
    }
    // A separator no label can hold, so that ("ab","c") and ("a","bc") differ.
    a = Math.imul(a ^ 0x1fffff, 0xcc9e2d51)
    b = Math.imul(b ^ 0x2fffff, 0x1b873593)
    a ^= a >>> 16
    b ^= b >>> 15
  }
  out[0] = finish(a ^ (b >>> 7))
  out[1] = finish(b ^ Math.imul(a, 0x85ebca77))
}

const finish = (h0: number): number => {
  let h = h0
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const words = new Uint32Array(2)
/** 64 bits as 16 hexadecimal digits. */
export const hash64 = (parts: readonly string[], salt = 0): string => {
  hashInto(parts, salt, words)
  return words[1]!.toString(16).padStart(8, '0') + words[0]!.toString(16).padStart(8, '0')
}
