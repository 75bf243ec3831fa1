/** Sends canaries: through every channel that an alert can reach, at their time or when somebody asks for it. */
import { randomInt } from 'node:crypto'
import type { Kysely } from 'kysely'
import { randomId } from '../base/ids.ts'
import { keepAppointment } from '../control/appointments.ts'
import { readChannelStates, recordCanary } from '../control/canaries.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { idOf } from '../monitor/alerts/notice-id.ts'
import { type AlertPolicy, firstOf } from '../monitor/alerts/policy.ts'
import { canaryNotice } from '../monitor/channels/own-notices.ts'
import type { AlertPath } from '../monitor/health/input.ts'
import { alertPathOf } from '../monitor/regular/alert-path.ts'
import { lastDueOf, type RegularNotice } from '../monitor/regular/plan.ts'

type Db = Kysely<ControlTables>

/** @returns whether they were due, and are in the outbox now */
export async function tellCanaries(
  db: Db,
  { plan, now }: { readonly plan: RegularNotice; readonly now: Date },
): Promise<boolean> {
  const due = lastDueOf(plan, now)
  if (!due) return false
  return keepAppointment(db, { name: 'canary', due, now }, async (tx) => {
    for (const channel of plan.channels) {
      await putCanary(tx, { id: idOf(['canary', due.toISOString(), channel]), channel, now })
    }
  })
}

/** @returns the id of its notice */
export async function sendCanary(
  db: Db,
  { channel, now, id = randomId() }: { readonly channel: string; readonly now: Date; readonly id?: string | undefined },
): Promise<string> {
  await db.transaction().execute((tx) => putCanary(tx, { id, channel, now }))
  return id
}

async function putCanary(
  db: Db,
  { id, channel, now }: { readonly id: string; readonly channel: string; readonly now: Date },
): Promise<void> {
  const code = makeCode()
  const notice = canaryNotice({ id, now, channel })
  const lines = [`Enter it where the server is reached: retake alerts confirm ${code}`]
  await recordCanary(db, { notice: { ...notice, lines }, channel, code })
}

/** Without letters and digits that are taken for one another. */
const LETTERS = 'ABCDEFGHJKMNPQRSTVWXYZ23456789'
const GROUP = 4

/** `K7QM-2FXP`: short enough to be typed, and not to be guessed in the time that it is good for. */
function makeCode(): string {
  const group = () => Array.from({ length: GROUP }, () => LETTERS[randomInt(LETTERS.length)]).join('')
  return `${group()}-${group()}`
}

/** As it was made, however it was typed. */
export function readCode(typed: string): string {
  const letters = typed.toUpperCase().replace(/[^A-Z0-9]/g, '')
  return `${letters.slice(0, GROUP)}-${letters.slice(GROUP)}`
}

/** Of those who are told first of an alert. */
export async function readAlertPath(
  db: Db,
  { policy, now }: { readonly policy: AlertPolicy; readonly now: Date },
): Promise<AlertPath> {
  return alertPathOf(await readChannelStates(db, firstOf(policy)), now)
}
