// Host and Origin: a page from elsewhere must not make a browser talk to us.

const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The name in a Host header, lower case, without port and final dot; null when it is none. */
const hostName = (host: string): string | null => {
  const m = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host.trim())
  return m ? m[1]!.toLowerCase().replace(/\.$/, '') : null
}

const isLoopbackName = (name: string): boolean => loopbackNames.has(name) || name.endsWith('.localhost')

const isAddress = (name: string): boolean => name.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}$/.test(name)

/**
 * Null when a request with this Host may pass, else why not. Loopback's names, bare addresses (they cannot be rebound by a name server) and
 * the allowed names pass; `*.example.com` allows what lies below, `*` all.
 */
export const checkHost = (host: string | undefined, allowed: readonly string[]): string | null => {
  const name = host === undefined ? null : hostName(host)
  if (name === null)
    return host === undefined ? 'the request has no Host' : `${JSON.stringify(host)} is no host name`
  if (isLoopbackName(name) || isAddress(name)) return null
  for (const entry of allowed) {
    const rule = entry.toLowerCase()
    if (rule === '*' || rule === name || (rule.startsWith('*.') && name.endsWith(rule.slice(1)))) return null
  }
  return `the host ${name} is not known here; add it to access.hosts`
}

/** Whether a Host header names this machine's loopback. */
export const isLoopbackHost = (host: string | undefined): boolean => {
  const name = host === undefined ? null : hostName(host)
  return name !== null && (isLoopbackName(name) || isLoopback(name))
}

/** Null when a request with this Origin may pass: none is sent, or it is our own host and port. */
export const checkOrigin = (origin: string | undefined, host: string | undefined): string | null => {
  if (origin === undefined) return null
  const from = URL.canParse(origin) ? new URL(origin).host : null
  // A URL leaves out its scheme's own port; so may the header.
  const ours = (host ?? '').toLowerCase().replace(/:(80|443)$/, '')
  if (from !== null && from.replace(/:(80|443)$/, '') === ours) return null
  return `a page of ${origin} may not call ${host ?? 'this host'}`
}

/** Whether a peer's address is this machine's own. */
export const isLoopback = (address: string | undefined): boolean =>
  address !== undefined &&
  /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(address)
