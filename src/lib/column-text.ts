// Columns of numbers as text that JSON can carry: base64 of their bytes, little-endian.

export const pack = (column: BigUint64Array | Float64Array | Uint8Array): string =>
  Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('base64')

export const unpack = (text: string): ArrayBuffer => {
  const bytes = Buffer.from(text, 'base64')
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}
