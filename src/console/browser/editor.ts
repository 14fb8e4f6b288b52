// The PromQL editor: CodeMirror with Prometheus's own language, completion and linting, over the plain field it stands for.
import { acceptCompletion, autocompletion, closeBrackets, completionKeymap } from '@codemirror/autocomplete'
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { lintKeymap } from '@codemirror/lint'
import {
  type ChangeSet,
  EditorState,
  Prec,
  StateEffect,
  StateField,
  type Transaction,
} from '@codemirror/state'
import { EditorView, type KeyBinding, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { PromQLExtension } from '@prometheus-io/codemirror-promql'

// ---- undo: what was changed, inverted; typing within half a second is one step
interface Past {
  readonly done: readonly ChangeSet[]
  readonly undone: readonly ChangeSet[]
  readonly at: number
}
const back = StateEffect.define<'undo' | 'redo'>()
const joinWithin = 500
const grow = (past: Past, tr: Transaction): Past => {
  const inverse = tr.changes.invert(tr.startState.doc)
  const way = tr.effects.find((e) => e.is(back))?.value as 'undo' | 'redo' | undefined
  if (way === 'undo') return { done: past.done.slice(0, -1), undone: [...past.undone, inverse], at: 0 }
  if (way === 'redo') return { done: [...past.done, inverse], undone: past.undone.slice(0, -1), at: 0 }
  const at = Date.now()
  const last = past.done.at(-1)
  const joined = last && at - past.at < joinWithin
  const done = joined ? [...past.done.slice(0, -1), inverse.compose(last)] : [...past.done, inverse]
  return { done: done.slice(-200), undone: [], at }
}
const past = StateField.define<Past>({
  create: () => ({ done: [], undone: [], at: 0 }),
  update: (value, tr) => (tr.docChanged ? grow(value, tr) : value),
})
const step =
  (way: 'undo' | 'redo') =>
  (view: EditorView): boolean => {
    const changes = view.state.field(past)[way === 'undo' ? 'done' : 'undone'].at(-1)
    if (!changes) return false
    view.dispatch({ changes, effects: back.of(way), scrollIntoView: true })
    return true
  }

const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], class: 'kw' },
  { tag: tags.function(tags.variableName), class: 'fn' },
  { tag: tags.string, class: 'str' },
  { tag: tags.number, class: 'numb' },
  { tag: [tags.operator, tags.punctuation, tags.paren, tags.squareBracket, tags.brace], class: 'op' },
  { tag: [tags.comment, tags.lineComment], class: 'com' },
])

const keysOf = (run: () => void): readonly KeyBinding[] => [
  {
    key: 'Shift-Enter',
    run: () => {
      run()
      return true
    },
  },
  {
    key: 'Mod-Enter',
    run: () => {
      run()
      return true
    },
  },
  { key: 'Tab', run: acceptCompletion },
  { key: 'Mod-z', run: step('undo'), preventDefault: true },
  { key: 'Mod-Shift-z', run: step('redo'), preventDefault: true },
  { key: 'Mod-y', run: step('redo'), preventDefault: true },
]

/** Puts the editor over the field; the field keeps its text, so that the form sends it. */
export const mount = (area: HTMLTextAreaElement, run: () => void): void => {
  const promql = new PromQLExtension().setComplete({
    remote: { url: '', httpMethod: 'GET', lookbackInterval: 12 * 3_600_000 },
  })
  const focused = document.activeElement === area
  const view = new EditorView({
    state: EditorState.create({
      doc: area.value,
      extensions: [
        past,
        Prec.highest(keymap.of(keysOf(run))),
        keymap.of([...completionKeymap, ...lintKeymap]),
        promql.asExtension(),
        autocompletion(),
        closeBrackets(),
        bracketMatching(),
        syntaxHighlighting(colors),
        placeholder(area.placeholder),
        EditorView.lineWrapping,
        EditorView.cspNonce.of(document.documentElement.dataset['nonce'] ?? ''),
        EditorView.contentAttributes.of({
          'aria-label': 'PromQL',
          spellcheck: 'false',
          autocapitalize: 'off',
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString()
        }),
      ],
    }),
  })
  area.hidden = true
  area.after(view.dom)
  area.parentElement?.classList.add('dressed')
  if (focused) view.focus()
}
