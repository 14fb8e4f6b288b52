// What every page shares: the stream, theme, keys, find, the sheet of pages, dialogs.
import { all, make, one } from './dom.ts'
import { startStream } from './stream.ts'

const root = document.documentElement
const page = root.dataset['page'] ?? ''
if (page) startStream(page)

const zone = one('[data-zone]')
if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone

// The word about what was just done is said once, not at every reload.
const here = new URL(location.href)
if (here.searchParams.has('done')) {
  here.searchParams.delete('done')
  history.replaceState(null, '', here)
}

const toggleTheme = (): void => {
  const set = root.dataset['theme']
  const dark = set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  root.dataset['theme'] = dark ? 'light' : 'dark'
  localStorage.setItem('theme', root.dataset['theme'])
  dispatchEvent(new Event('themechange'))
}
for (const button of all<HTMLButtonElement>('[data-theme-toggle]')) button.onclick = toggleTheme
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
  dispatchEvent(new Event('themechange')),
)

const more = one<HTMLAnchorElement>('a[href="#more"]')
more?.addEventListener('click', (event) => {
  event.preventDefault()
  const open = root.classList.toggle('nav-open')
  more.setAttribute('aria-expanded', String(open))
  if (open) one('.rail a')?.focus()
})

// ---- find
interface Found {
  readonly name: string
  readonly kind: string
  readonly href: string
}
const dialog = (id: string): HTMLDialogElement => one<HTMLDialogElement>(`#${id}`)!
let asked = 0
const lookUp = async (text: string): Promise<void> => {
  const turn = ++asked
  const list = one('#find .found')!
  const answer = await fetch(`/console/find?q=${encodeURIComponent(text)}`).catch(() => null)
  if (turn !== asked) return
  if (!answer?.ok) return list.replaceChildren(make('li', { class: 'note' }, 'Airboss does not answer.'))
  const found = (await answer.json()) as Found[]
  const rows = found.map((f, i) =>
    make(
      'li',
      {},
      make(
        'a',
        { href: f.href, class: i === 0 ? 'on' : '' },
        make('span', { class: 'clip' }, f.name),
        make('span', { class: 'n' }, f.kind),
      ),
    ),
  )
  list.replaceChildren(...(rows.length > 0 ? rows : [make('li', { class: 'note' }, 'Nothing by that name.')]))
}
const moveChoice = (by: number): void => {
  const links = all<HTMLAnchorElement>('#find .found a')
  const at = links.findIndex((l) => l.classList.contains('on'))
  links[at]?.classList.remove('on')
  const next = links[Math.min(links.length - 1, Math.max(0, at + by))]
  next?.classList.add('on')
  next?.scrollIntoView({ block: 'nearest' })
}
const openFind = (): void => {
  const input = one<HTMLInputElement>('#find-q')!
  dialog('find').showModal()
  input.value = ''
  void lookUp('')
}
const findInput = one<HTMLInputElement>('#find-q')
findInput?.addEventListener('input', () => void lookUp(findInput.value))
findInput?.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') {
    event.preventDefault()
    const chosen = one<HTMLAnchorElement>('#find .found a.on')
    if (chosen) location.href = chosen.href
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault()
    moveChoice(event.key === 'ArrowDown' ? 1 : -1)
  }
})
for (const button of all<HTMLButtonElement>('[data-search]')) button.onclick = openFind

// ---- stop all asks for a reason where one stands
addEventListener('click', (event) => {
  const target = event.target as HTMLElement
  if (target.closest('[data-close]')) target.closest('dialog')?.close()
  if (!target.closest('[data-stop]')) return
  event.preventDefault()
  const field = one<HTMLInputElement>('#stop input[name=back]')
  if (field) field.value = location.pathname
  dialog('stop').showModal()
})

// ---- keys: g then a letter goes, single letters act, never while typing
const walk = (by: number): void => {
  const rows = all('.alerts .alert-main, .decisions li a, .rules tbody code').filter(
    (row) => row.offsetParent,
  )
  const links = rows.map((row) => row.closest<HTMLElement>('a')).filter((a): a is HTMLElement => a !== null)
  const at = links.indexOf(document.activeElement as HTMLElement)
  links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus()
}
const keys = new Map<string, readonly [what: string, run: () => void]>([
  ['?', ['This list', () => dialog('keys').showModal()]],
  ['/', ['Find', openFind]],
  ['t', ['Light or dark', toggleTheme]],
  ['j', ['Next row', () => walk(1)]],
  ['k', ['Row before', () => walk(-1)]],
  [
    'a',
    [
      'Acknowledge the first',
      () => one<HTMLButtonElement>('form[action="/console/acknowledge"] button')?.click(),
    ],
  ],
])
const places = all<HTMLAnchorElement>('.rail a[data-key]').map((a) => ({
  key: a.dataset['key'] ?? '',
  name: a.firstElementChild?.textContent ?? '',
  href: a.href,
}))
const kbd = (text: string): HTMLElement => make('kbd', {}, text)
one('.keys')?.replaceChildren(
  ...[...keys].flatMap(([key, [what]]) => [make('dt', {}, kbd(key)), make('dd', {}, what)]),
  ...places.flatMap(({ key, name }) => [make('dt', {}, kbd('g'), ' ', kbd(key)), make('dd', {}, name)]),
)

/** Whether keys belong to where they are typed. A dialog that was just closed may still hold the focus; then they are the page's. */
const typing = (target: HTMLElement): boolean => {
  const box = target.closest('dialog')
  return box ? box.open : target.closest('input, textarea, select, [contenteditable="true"]') !== null
}

let going = 0
addEventListener('keydown', (event) => {
  if ((event.metaKey || event.ctrlKey) && event.key === 'k') {
    event.preventDefault()
    return openFind()
  }
  const target = event.target as HTMLElement
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (typing(target)) return
  if (Date.now() - going < 900) {
    going = 0
    const place = places.find((p) => p.key === event.key)
    if (place) {
      location.href = place.href
      return
    }
  }
  if (event.key === 'g') {
    going = Date.now()
    return
  }
  const known = keys.get(event.key)
  if (known) {
    event.preventDefault()
    known[1]()
  }
})

// A link to an alert opens its details.
const openTarget = (): void => {
  const target =
    location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null
  if (target instanceof HTMLDetailsElement) target.open = true
}
addEventListener('hashchange', openTarget)
openTarget()
