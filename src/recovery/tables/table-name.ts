/** Names of tables as people type them. */
import { RetakeError } from '../../base/errors.ts'

export interface TableName {
  readonly schema: string
  readonly table: string
}

const PART = String.raw`(?:"(?:[^"\0]|"")+"|[^".\s\0]+)`
const NAME = new RegExp(String.raw`^(?:(${PART})\.)?(${PART})$`)

/**
 * Reads `reviews`, `shop.reviews` or `"My Schema"."T"`, as SQL does: without quotes letters are small, and the schema is `public`.
 * @throws RetakeError `config.invalid`
 */
export function parseTableName(text: string): TableName {
  const match = NAME.exec(text.trim())
  if (!match) {
    throw new RetakeError('config.invalid', `"${text}" is not the name of a table.`, {
      hint: `Write schema.table, with double quotes around what SQL would want quoted: '"My Schema"."Table"'.`,
    })
  }
  const [, schema, table = ''] = match
  return { schema: schema === undefined ? 'public' : unquote(schema), table: unquote(table) }
}

/** As SQL wants it. */
export function quoteTable({ schema, table }: TableName): string {
  return `${quoteName(schema)}.${quoteName(table)}`
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** For people: with quotes only where SQL needs them for certain. */
export function formatTable({ schema, table }: TableName): string {
  return [schema, table].map((name) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteName(name))).join('.')
}

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase()
}
