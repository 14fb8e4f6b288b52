// Explore's form: the editor in place of the plain field once it has come, Shift+Enter runs, a new step runs at once.
import { one } from './dom.ts'

const form = one<HTMLFormElement>('[data-explore]')
const area = one<HTMLTextAreaElement>('#q')
if (form && area) {
  const run = (): void => form.requestSubmit()
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && event.shiftKey) {
      event.preventDefault()
      run()
    }
  })
  one<HTMLSelectElement>('select[name=step]', form)?.addEventListener('change', () => {
    if (area.value.trim()) run()
  })
  form.addEventListener('submit', () => {
    const answer = one('.answer', form)
    if (answer) setTimeout(() => answer.replaceChildren('Asking…'), 400)
  })
  import('./editor.ts').then(
    (editor) => editor.mount(area, run),
    // The plain field does the same, without colours and completion.
    () => area.setAttribute('data-plain', ''),
  )
}
