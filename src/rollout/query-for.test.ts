import { expect, test } from 'vitest'
import { queryFor } from './query-for.ts'

test.each([
  ['up{v="$version",a="$agent"}', 'up{v="4.2.7",a="a+b"}'],
  ['up{v!="{{ version }}",a!=\'{{agent}}\'}', 'up{v!="4.2.7",a!=\'a+b\'}'],
  ['up{v=~"$version"}', String.raw`up{v=~"4\\.2\\.7"}`],
  ["up{v !~ '$version|x.*', w='$version'}", String.raw`up{v !~ '4\\.2\\.7|x.*', w='4.2.7'}`],
  ['up{v=~`$version`,a=~`$agent`}', String.raw`up{v=~${'`'}4\.2\.7${'`'},a=~${'`'}a\+b${'`'}}`],
  ['up{v=~ # "why"\n "$version"}', 'up{v=~ # "why"\n "4\\\\.2\\\\.7"}'],
  [String.raw`up{x="a\"=~",v="$version"}`, String.raw`up{x="a\"=~",v="4.2.7"}`],
  ['up{v=~"a",w="$version"}', 'up{v=~"a",w="4.2.7"}'],
  ['up_$version + $versions', 'up_4.2.7 + $versions'],
])('%s', (query, expected) => {
  expect(queryFor(query, 'a+b', '4.2.7')).toBe(expected)
})
test('quotes in a version stay inside of theirs', () => {
  const odd = 'a"b\'c\\'
  expect(queryFor('u{v="$version"}', '', odd)).toBe(String.raw`u{v="a\"b'c\\"}`)
  expect(queryFor("u{v='$version'}", '', odd)).toBe(String.raw`u{v='a"b\'c\\'}`)
  expect(queryFor('u{v=`$version`}', '', 'a`"b')).toBe('u{v="a`\\"b"}')
})
