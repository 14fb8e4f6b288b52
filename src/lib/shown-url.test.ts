import { expect, test } from 'vitest'
import { shownURL } from './shown-url.ts'

test.each([
  ['http://u:pass@h:1/a?b=c@d', 'http://<secret>@h:1/a?b=c@d'],
  ['https://token@h', 'https://<secret>@h'],
  ['http://u:p@ss@h/', 'http://<secret>@h/'],
  ['http://h/a@b', 'http://h/a@b'],
  ['no address: a@b', 'no address: a@b'],
])('%s', (text, shown) => expect(shownURL(text)).toBe(shown))
