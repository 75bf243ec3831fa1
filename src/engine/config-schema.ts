import * as z from 'zod'
import { MAX_COPIES } from '../storage/mirrored/shared-view.ts'
import { type Config, type ConfigOptionName, ORIGIN, optionEntries, type ValueRule } from './config-options.ts'
import { parseJson, schedulesSchema } from './schedules-schema.ts'

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

const mirrorSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, {
    error: 'a mirror\'s name is 1 to 32 letters, digits, "-" or "_"',
  }),
  url: z.string().min(1),
  place: z.string().min(1).optional(),
  offsite: z.boolean().optional(),
})

const mirrorsSchema = z
  .preprocess((value) => (typeof value === 'string' ? parseMirrors(value) : value), z.array(mirrorSchema))
  .refine((mirrors) => mirrors.length < MAX_COPIES, `at most ${MAX_COPIES - 1} mirrors`)
  .refine(
    (mirrors) => new Set([ORIGIN, ...mirrors.map(({ name }) => name)]).size === mirrors.length + 1,
    `each mirror has a name of its own, and none is "${ORIGIN}", which is what \`repo\` names`,
  )

/** `NAME=URL;place=EU;offsite=yes`, several with blanks between. */
function parseMirrors(text: string): unknown[] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((one) => {
      const [head = '', ...attributes] = one.split(';')
      const at = head.indexOf('=')
      const named = Object.fromEntries(attributes.map((attribute) => attribute.split('=', 2)))
      const { offsite, ...rest } = named as { offsite?: string }
      const flag = offsite === 'yes' ? true : offsite === 'no' ? false : offsite
      return {
        name: head.slice(0, Math.max(0, at)),
        url: head.slice(at + 1),
        ...rest,
        ...(flag === undefined ? {} : { offsite: flag }),
      }
    })
}

const tableSchema = z.strictObject({
  table: z.string().regex(/^[^.\s]+\..+$/, { error: 'a critical table is named with its schema, as in public.users' }),
  tier: z.enum(['high', 'medium', 'low'], { error: 'a tier is high, medium or low' }),
})

const tablesSchema = z
  .preprocess((value) => (typeof value === 'string' ? parseTables(value) : value), z.array(tableSchema))
  .refine(
    (tables) => new Set(tables.map(({ table }) => table)).size === tables.length,
    'each critical table is named once',
  )

/** `public.users=high public.events=low` */
function parseTables(text: string): unknown[] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((one) => {
      const at = one.lastIndexOf('=')
      return at < 0 ? { table: one } : { table: one.slice(0, at), tier: one.slice(at + 1) }
    })
}

const limit = (most: number) =>
  z
    .union([z.literal('off'), z.number().positive().max(most)], {
      error: `a limit is "off" or a number above 0, up to ${most}`,
    })
    .optional()

const LONGEST_SECONDS = 86_400

const loadGuardSchema = z.preprocess(
  // `off` is false in YAML 1.1, and text elsewhere.
  (value) => (value === false ? 'off' : typeof value === 'string' && value !== 'off' ? parseJson(value) : value),
  z.union(
    [
      z.literal('off'),
      z.strictObject({
        activePercent: limit(100),
        standbyLagSeconds: limit(LONGEST_SECONDS),
        lockWaitSeconds: limit(LONGEST_SECONDS),
        loadPerProcessor: limit(1000),
        maxDelayMinutes: z.number().min(0).max(1440).optional(),
      }),
    ],
    {
      error:
        'it is "off", or has activePercent, standbyLagSeconds, lockWaitSeconds, loadPerProcessor (each above 0, or "off") and maxDelayMinutes (up to 1440)',
    },
  ),
)

function schemaOf(rule: ValueRule): z.ZodType {
  if (rule.kind === 'mirrors') return mirrorsSchema
  if (rule.kind === 'tables') return tablesSchema
  if (rule.kind === 'schedules') return schedulesSchema
  if (rule.kind === 'loadGuard') return loadGuardSchema
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
