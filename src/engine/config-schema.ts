import * as z from 'zod'
import { type Config, type ConfigOptionName, optionEntries, type ValueRule } from './config-options.ts'

/** The schema of a configuration file: every option that may stand in one, and nothing else. */
export function configFileSchema(): z.ZodObject {
  const shape: Record<string, z.ZodType> = {}
  for (const [name, option] of optionEntries()) {
    if (option.environmentOnly) continue
    shape[name] = schemaOf(option.value).optional().describe(describeOption(option))
  }
  return z.strictObject({ $schema: z.string().optional().describe('For editors; ignored.'), ...shape })
}

/** One value of one option, checked; undefined and the sentence why when it cannot be used. */
export function parseOptionValue<K extends ConfigOptionName>(
  name: K,
  value: unknown,
): { readonly value: NonNullable<Config[K]> } | { readonly problem: string } {
  const entry = optionEntries().find(([candidate]) => candidate === name)
  if (!entry) return { problem: 'no such option' }
  const parsed = schemaOf(entry[1].value).safeParse(value)
  if (parsed.success) return { value: parsed.data as NonNullable<Config[K]> }
  return { problem: parsed.error.issues.map((issue) => issue.message).join('; ') }
}

/** The JSON schema of a configuration file, as text; the build writes it to `dist/config.schema.json`. */
export function renderConfigSchema(): string {
  const schema = z.toJSONSchema(configFileSchema(), { io: 'input', unrepresentable: 'any' })
  return `${JSON.stringify({ title: 'Retake configuration', ...schema }, undefined, 2)}\n`
}

function schemaOf(rule: ValueRule): z.ZodType {
  if (rule.kind === 'text') {
    const text = z.string().min(1)
    return rule.pattern ? text.regex(rule.pattern, { error: rule.patternText ?? 'not in the expected form' }) : text
  }
  // Variables and flags are text.
  let number = z.coerce.number()
  if (rule.integer) number = number.int()
  if (rule.min !== undefined) number = number.min(rule.min)
  return rule.max === undefined ? number : number.max(rule.max)
}

function describeOption(option: { description: string; env: string; flag?: string; defaultText?: string }): string {
  const sources = option.flag ? `${option.flag}, ${option.env}` : option.env
  const fallback = option.defaultText ? ` Default: ${option.defaultText}.` : ''
  return `${option.description}${fallback} (Also: ${sources}.)`
}
