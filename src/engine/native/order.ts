/**
 * What was ordered at Supabase, beside the plan: written before the order is sent, so that whoever was stopped in between knows that
 * it may have been, and never sends it a second time.
 */
import { randomUUID } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { isRetakeError, RetakeError, systemErrorCode } from '../../base/errors.ts'
import { replaceFile, syncDirectory } from '../../recovery/durable-files.ts'
import type { NativeRestorePlan } from '../../supabase/management/native-restore.ts'
import { writeNewSecretFile } from '../new-file.ts'

const orderSchema = z.strictObject({
  version: z.literal(1),
  project: z.string(),
  targetUnix: z.number(),
  orderedAt: z.string(),
  /** The project was seen in another state than healthy since. */
  seen: z.boolean(),
  outcome: z.enum(['done', 'failed']).optional(),
  endedAt: z.string().optional(),
})

export type NativeOrder = z.infer<typeof orderSchema>

/** Each plan has its own, so that making it can fail: whoever makes it is the one who orders. */
export function orderFileOf(planFile: string, { madeAt }: Pick<NativeRestorePlan, 'madeAt'>): string {
  return `${planFile}.${madeAt.replaceAll(/[^0-9TZ]/g, '')}.order`
}

/** @throws RetakeError `config.invalid` when the file cannot be understood, or tells of something else */
export async function readOrder(planFile: string, plan: NativeRestorePlan): Promise<NativeOrder | undefined> {
  const file = orderFileOf(planFile, plan)
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw unreadable(file, error)
  }
  const order = parse(content, file)
  if (order.project === plan.projectRef && order.targetUnix === plan.targetUnix) return order
  throw unreadable(file)
}

/**
 * Before the order is sent; durable when this resolves.
 * @returns undefined when another process was first
 */
export async function beginOrder(
  planFile: string,
  plan: NativeRestorePlan,
  now: Date,
): Promise<NativeOrder | undefined> {
  const { projectRef: project, targetUnix } = plan
  const order: NativeOrder = { version: 1, project, targetUnix, orderedAt: now.toISOString(), seen: false }
  try {
    await writeNewSecretFile(orderFileOf(planFile, plan), render(order))
    return order
  } catch (error) {
    if (isRetakeError(error) && systemErrorCode(error.cause) === 'EEXIST') return undefined
    throw error
  }
}

export async function writeOrder(planFile: string, plan: NativeRestorePlan, order: NativeOrder): Promise<void> {
  const file = orderFileOf(planFile, plan)
  // Others may follow the same restore; no two write one draft.
  const draft = `${file}.${randomUUID()}`
  await replaceFile(draft, render(order), { mode: 0o600 })
  await rename(draft, file)
  await syncDirectory(dirname(file))
}

function parse(content: string, file: string): NativeOrder {
  try {
    return orderSchema.parse(JSON.parse(content))
  } catch (error) {
    throw unreadable(file, error)
  }
}

const render = (order: NativeOrder) => `${JSON.stringify(order, undefined, 2)}\n`

function unreadable(file: string, cause?: unknown): RetakeError {
  return new RetakeError(
    'config.invalid',
    `${file} cannot be read, so it is not known whether a restore was ordered.`,
    {
      hint: 'Look at the project in the dashboard of Supabase. When nothing runs there, make a new plan.',
      cause,
    },
  )
}
