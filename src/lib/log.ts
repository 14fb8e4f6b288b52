// Structured logging: pino with a child a room, secrets redacted, synchronous so that no line is lost.
import { type Logger as Pino, pino } from 'pino'

export type Logger = Pino

const redact = {
  paths: [
    'password',
    'token',
    'secret',
    'authorization',
    'routing_key',
    '*.password',
    '*.token',
    '*.secret',
    '*.authorization',
    '*.routing_key',
  ],
  censor: '<secret>',
}

/** A logger that writes JSON lines to a file descriptor (2 = standard error by default; standard output is the ready line's). */
export const createLogger = (options: { level?: string; fd?: number } = {}): Logger =>
  pino(
    { level: options.level ?? 'info', base: null, redact, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: options.fd ?? 2, sync: true }),
  )

export const silentLogger = (): Logger => pino({ level: 'silent' })
