// What every page is sent with: nothing from elsewhere, no frames, no inline script but the theme's.
import { themeHash } from './shell.ts'

/** `nonce` lets the editor put its own styles in. */
export const pageHeaders = (nonce: string): Readonly<Record<string, string>> => ({
  // uPlot and the version bars set lengths by style attributes; scripts are ours alone.
  'content-security-policy': [
    "default-src 'none'",
    `script-src 'self' 'sha256-${themeHash}'`,
    `style-src 'self' 'nonce-${nonce}'`,
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
})
