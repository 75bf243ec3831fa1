/** Whether an alert would reach a person: what the score makes of the channels that are told first. Pure. */
import { type ChannelState, failureNow } from '../channels/channel-state.ts'
import type { AlertPath } from '../health/input.ts'

/** Proven when each of them is: by a person who confirmed a canary, and by no failure since. It is as old as the oldest of the proofs. */
export function alertPathOf(first: readonly ChannelState[], now: Date): AlertPath {
  if (first.length === 0) {
    return lacking('No channel is configured, so nobody is told of an alert.', {
      fix: 'retake alerts canary   # after channels were added to the file of the server (docs/channels.md)',
    })
  }
  for (const state of first) {
    const problem = problemOf(state, now)
    if (problem) return problem
  }
  const proven = first.flatMap(({ provenAt }) => provenAt ?? [])
  return { provenAt: new Date(Math.min(...proven.map((at) => at.getTime()))).toISOString() }
}

function problemOf(state: ChannelState, now: Date): AlertPath | undefined {
  const { name, canary, provenAt } = state
  const failing = failureNow(state, now)
  if (failing) {
    return lacking(
      `Notices do not arrive through "${name}" since ${failing.since.toISOString()}: ${failing.failure.message}`,
      {
        fix: `retake alerts test ${name}   # says what is wrong`,
      },
    )
  }
  if (provenAt) return undefined
  const nobody = `Nobody has confirmed yet that notices arrive through "${name}"`
  if (canary?.state === 'failed') {
    return lacking(
      `${nobody}; the canary of ${canary.at.toISOString()} did not: ${canary.failure?.message ?? 'unknown reason'}`,
      {
        fix: `retake alerts test ${name}   # says what is wrong`,
      },
    )
  }
  if (canary?.state === 'delivered') {
    return lacking(`${nobody}; the canary of ${canary.at.toISOString()} was delivered.`, {
      fix: 'retake alerts confirm CODE   # the code stands in the message that came',
    })
  }
  return lacking(`${nobody}.`, { fix: `retake alerts canary ${name}   # then confirm it with the code that arrives` })
}

const lacking = (reason: string, { fix }: { readonly fix: string }): AlertPath => ({ problem: { reason, fix } })
