// What an alert says, made harmless in HTML: as text, in a quoted attribute, and as an address.

const signs: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
}

const addressFollows = /(?:href|src|action|background|cite|poster)\s*=\s*["']?$/i
const goodScheme = /^(?:https?|mailto|tel):/i
const anyScheme = /^[^/?#:]*:/

/**
 * `text` as it may stand after `before`. Where an address is about to begin, one with a scheme that could run something
 * (`javascript:`) becomes `#`.
 */
export const escapeHtml = (text: string, before: string): string => {
  if (addressFollows.test(before.slice(-40))) {
    // Browsers pass over blanks and control signs before and in a scheme.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    const plain = text.replaceAll(/[\u0000-\u0020]+/g, '')
    if (anyScheme.test(plain) && !goodScheme.test(plain)) return '#'
  }
  return text.replaceAll(/[&<>"']/g, (c) => signs[c]!)
}
