// Functions of one value at a time.

const plain: Readonly<Record<string, (v: number) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  exp: Math.exp,
  ln: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  sqrt: Math.sqrt,
  sgn: Math.sign,
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atanh: Math.atanh,
  cos: Math.cos,
  cosh: Math.cosh,
  sin: Math.sin,
  sinh: Math.sinh,
  tan: Math.tan,
  tanh: Math.tanh,
  deg: (v) => v * (180 / Math.PI),
  rad: (v) => v * (Math.PI / 180),
}

export const mathFunction = (name: string): ((v: number) => number) | undefined =>
  Object.hasOwn(plain, name) ? plain[name] : undefined

/** To the nearest multiple of `to`; halves go up. The inverse is multiplied by, so that 0.1 and the like stay exact. */
export const roundTo = (v: number, to: number): number => {
  const inverse = 1 / to
  return Math.floor(v * inverse + 0.5) / inverse
}
