// Single measurements on a plot: drawn as diamonds, found again under the pointer.
import type uPlot from 'uplot'

export interface Dot {
  /** Seconds. */
  readonly t: number
  readonly value: number
  readonly href: string
}

/** Pixels from its middle within which a dot is meant. */
const reach = 9

/** A dot's place in CSS pixels; values beyond the plot's own stand at its edge. */
const placeOf = (u: uPlot, dot: Dot): { x: number; y: number } => ({
  x: u.valToPos(dot.t, 'x'),
  y: Math.min(Math.max(u.valToPos(dot.value, 'y'), 5), u.over.clientHeight - 5),
})

export const drawDots =
  (dots: readonly Dot[], ink: { readonly ink: string; readonly surface: string }) =>
  (u: uPlot): void => {
    const c = u.ctx
    const px = devicePixelRatio
    const { left, top, width } = u.bbox
    c.save()
    c.fillStyle = ink.ink
    c.strokeStyle = ink.surface
    c.lineWidth = px
    for (const dot of dots) {
      const { x, y } = placeOf(u, dot)
      if (x < 0 || x * px > width) continue
      c.save()
      c.translate(left + x * px, top + y * px)
      c.rotate(Math.PI / 4)
      c.fillRect(-3 * px, -3 * px, 6 * px, 6 * px)
      c.strokeRect(-3 * px, -3 * px, 6 * px, 6 * px)
      c.restore()
    }
    c.restore()
  }

/** The dot under the pointer, the nearest of several. */
export const dotAt = (u: uPlot, dots: readonly Dot[]): Dot | null => {
  const { left = -1, top = -1 } = u.cursor
  let nearest: Dot | null = null
  let least = reach
  for (const dot of dots) {
    const { x, y } = placeOf(u, dot)
    const distance = Math.hypot(x - left, y - top)
    if (distance <= least) {
      nearest = dot
      least = distance
    }
  }
  return nearest
}
