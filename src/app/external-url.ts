// How people reach this Airboss: what stands in pages, links and alerts.
import { hostname } from 'node:os'

const everywhere = /^(0\.0\.0\.0|\[::\])?$/

/**
 * The configured URL; else the address listened on, `bound` once there is one (port 0 becomes a port then only). An address that stands for
 * every interface leads nobody anywhere: this machine's name takes its place.
 */
export const externalURLOf = (
  listen: { readonly http: string; readonly external_url?: string | undefined },
  bound: string,
): string => {
  // Paths are put behind it, and a doubled slash is another path: the links in pages would lead nowhere.
  if (listen.external_url !== undefined) return listen.external_url.replace(/\/+$/, '')
  const { port } = new URL(bound === '' ? `http://${listen.http.replace(/^:/, 'localhost:')}` : bound)
  const host = listen.http.replace(/:\d+$/, '')
  return `http://${everywhere.test(host) ? hostname() : host}${port === '' ? '' : `:${port}`}`
}
