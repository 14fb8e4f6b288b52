// Who does something: every change has one.

/** `user:mara`, `token:ci`, `system:rules`, `anonymous:loopback`. */
export interface Actor {
  readonly id: string
  readonly kind: 'user' | 'token' | 'system' | 'anonymous'
}
export const system = (room: string): Actor => ({ id: `system:${room}`, kind: 'system' })
