// The configuration in force as text that may be shown: no secret, and no address that works as one.
import { shownURL } from '../lib/shown-url.ts'
import type { Config } from './config-schema.ts'

const hidden = '<secret>'
/** Addresses under these keys may carry a token in their path, as chat webhooks do. */
const secretPath = /^webhooks\./

/** Without path and query, which may be the secret. */
const hostOnly = (text: string): string => {
  if (!URL.canParse(text)) return text
  const url = new URL(text)
  return `${url.protocol}//${url.host}/${hidden}`
}

const shown = (value: unknown, path: string): unknown => {
  if (value instanceof Map) return shown(Object.fromEntries(value), path)
  if (typeof value === 'string') {
    if (/\.sha256$/.test(path)) return hidden
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return value
    return secretPath.test(path.replace(/^actions\./, '')) ? hostOnly(value) : shownURL(value, hidden)
  }
  if (Array.isArray(value)) return value.map((item) => shown(item, path))
  if (value === null || typeof value !== 'object') return value
  // Secrets print themselves as such.
  if ('toJSON' in value) return (value as { toJSON(): unknown }).toJSON()
  return Object.fromEntries(
    Object.entries(value).map(([key, below]) => [key, shown(below, path === '' ? key : `${path}.${key}`)]),
  )
}

/** JSON, which is YAML as well. */
export const shownConfig = (config: Config): string => JSON.stringify(shown(config, ''), null, 2)
