// What is said to and by models: the attributes and events that hold prompts, completions, and what tools were given and gave back.

/** Families of attributes by the name they are counted under: exact keys, or all that begin with one that ends in a dot. */
const families: readonly (readonly [name: string, ...keys: string[]])[] = [
  ['gen_ai.input.messages', 'gen_ai.input.messages'],
  ['gen_ai.output.messages', 'gen_ai.output.messages'],
  ['gen_ai.system_instructions', 'gen_ai.system_instructions'],
  ['gen_ai.tool.call.arguments', 'gen_ai.tool.call.arguments'],
  ['gen_ai.tool.call.result', 'gen_ai.tool.call.result'],
  ['gen_ai.tool.definitions', 'gen_ai.tool.definitions'],
  ['gen_ai.retrieval', 'gen_ai.retrieval.documents', 'gen_ai.retrieval.query.text'],
  ['gen_ai.evaluation.explanation', 'gen_ai.evaluation.explanation'],
  ['gen_ai.prompt', 'gen_ai.prompt', 'gen_ai.prompt.'],
  ['gen_ai.completion', 'gen_ai.completion', 'gen_ai.completion.'],
  ['gen_ai.content', 'gen_ai.content.', 'gen_ai.event.content'],
  ['llm.prompts', 'llm.prompts', 'llm.prompts.', 'llm.prompt_template.'],
  ['llm.completions', 'llm.completions', 'llm.completions.'],
  ['llm.input_messages', 'llm.input_messages', 'llm.input_messages.'],
  ['llm.output_messages', 'llm.output_messages', 'llm.output_messages.'],
  ['input.value', 'input.value'],
  ['output.value', 'output.value'],
  ['traceloop.entity.input', 'traceloop.entity.input'],
  ['traceloop.entity.output', 'traceloop.entity.output'],
  ['langfuse.input', 'langfuse.observation.input', 'langfuse.trace.input'],
  ['langfuse.output', 'langfuse.observation.output', 'langfuse.trace.output'],
  ['ai.prompt', 'ai.prompt', 'ai.prompt.'],
  ['ai.response', 'ai.response.text', 'ai.response.object', 'ai.response.toolCalls', 'ai.response.reasoning'],
  ['ai.toolCall', 'ai.toolCall.args', 'ai.toolCall.result'],
  ['ai.value', 'ai.value', 'ai.values'],
  ['pydantic_ai', 'pydantic_ai.all_messages', 'all_messages_events', 'final_result'],
  ['tool', 'tool_arguments', 'tool_response', 'tool.parameters'],
  ['retrieval.documents', 'retrieval.documents', 'retrieval.documents.', 'document.content'],
  ['embedding.text', 'embedding.text', 'embedding.embeddings.'],
  ['mlflow', 'mlflow.spanInputs', 'mlflow.spanOutputs'],
]

const exact = new Map<string, string>()
const prefixes: (readonly [prefix: string, name: string])[] = []
for (const [name, ...keys] of families)
  for (const key of keys) {
    if (key.endsWith('.')) prefixes.push([key, name])
    else exact.set(key, name)
  }

/** Names of a prompt template, not its text. */
const harmless = new Set(['gen_ai.prompt.name', 'gen_ai.prompt.version', 'ai.prompt.name'])

/** The family of content that an attribute belongs to; '' for all others. */
export const contentFamily = (key: string): string => {
  const found = exact.get(key)
  if (found !== undefined) return found
  if (harmless.has(key)) return ''
  for (const [prefix, name] of prefixes) if (key.startsWith(prefix)) return name
  return ''
}

/** Of events that are messages, the attributes that say what kind of message it is, and nothing of it. */
const aboutMessages = new Set(['role', 'index', 'id', 'finish_reason', 'event.name'])

/** Whether an event, by its name, is a message to or from a model: its body is content, and so are attributes but those that say what it is. */
export const isMessage = (name: string): boolean => name.startsWith('gen_ai.')

/** As `contentFamily`, for an attribute of an event that is a message. */
export const messageFamily = (key: string): string =>
  contentFamily(key) || (aboutMessages.has(key) || /^(gen_ai|error|server)\./.test(key) ? '' : 'message')
