/** Every operation is asked of a real server, and every answer is held against the OpenAPI document. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import { perfect } from '../monitor/testing/health-facts.ts'
import { backupOf, reportOf } from '../monitor/testing/metrics-facts.ts'
import type { AlertDetail } from './contract/alerts.ts'
import { API_PREFIX, type OperationFacts } from './contract/operation.ts'
import { operations } from './contract/operations.ts'
import { startApi } from './testing/api-stage.ts'
import { type DocumentedAnswer, documentChecker } from './testing/document-checks.ts'
import { schedulesExample, statusExample, windowExample } from './testing/examples.ts'
import { MemoryServices, memoryCluster } from './testing/memory-services.ts'

const AT = '2026-11-23T02:00:00.000Z'
const failure = { code: 'timeout', message: 'It did not answer.', hint: 'Look.' }

const alert: AlertDetail = {
  key: 'k1',
  rule: 'backup.old',
  severity: 'critical',
  state: 'firing',
  cluster: 'main',
  title: 'backup is old',
  finding: 'The last backup is 30 hours old.',
  effect: 'Recovery takes longer.',
  fix: 'retake backup',
  since: AT,
  level: 2,
  incident: 'i1',
  history: [{ at: AT, state: 'firing' }],
}

/** Everything that can be told of is there once. */
class Full extends MemoryServices {
  constructor() {
    super()
    this.clusters = [
      {
        ...memoryCluster('main'),
        checkedAt: AT,
        score: 71.5,
        band: 'attention',
        recoverableTo: { lsn: '0/3000060', at: AT },
      },
      memoryCluster('other'),
    ]
    const maintenance = { from: AT, until: AT, reason: 'New disks.', createdBy: 'ada', createdAt: AT }
    this.alerts = [alert]
    this.maintenance = [{ ...maintenance, id: 'm1', cluster: 'main', rules: ['backup.old'], state: 'planned' }]
    this.channels = [
      {
        name: 'mail',
        kind: 'smtp',
        lastDelivery: { at: AT, notice: 'n1' },
        lastFailure: { at: AT, error: failure },
        provenAt: AT,
        failing: { since: AT, error: failure },
        canary: { notice: 'n2', at: AT, state: 'delivered' },
      },
    ]
    this.notices = [
      {
        id: 'n1',
        kind: 'fired',
        at: AT,
        incident: 'i1',
        severity: 'critical',
        cluster: 'main',
        headline: 'CRITICAL: the backup is old.',
        alerts: ['k1'],
        level: 1,
        deliveries: [{ channel: 'mail', state: 'failed', attempts: 3, at: AT, error: failure }],
      },
    ]
    this.scores = [
      {
        at: AT,
        formula: 1,
        band: 'unknown',
        verdict: 'unknown',
        points: 40,
        caps: ['wal-gap'],
        unknownBecause: 'Gone.',
      },
    ]
    this.putRun({
      id: 'r1',
      cluster: 'main',
      task: 'backup',
      state: 'running',
      startedBy: { kind: 'schedule', name: 'nightly' },
      requestedAt: AT,
      startedAt: AT,
      phase: 'copy',
      progress: { done: 1, total: 2, unit: 'bytes' },
      server: 's1',
      attempt: 2,
    })
  }
  #of<T>(cluster: string, report: T): T | undefined {
    return cluster === 'main' ? report : undefined
  }
  override readStatus = async (cluster: string) => this.#of(cluster, statusExample)
  override readHealth = async (cluster: string) =>
    this.#of(cluster, reportOf({ facts: { ...perfect, usable: 0, unknown: ['disk'] } }))
  override readWindow = async (cluster: string) => this.#of(cluster, windowExample)
  override readSchedules = async (cluster: string) => this.#of(cluster, schedulesExample)
  override listBackups = async (cluster: string) => {
    const error = new RetakeError('repo.damaged', 'Its manifest is cut short.').toJSON()
    const copies = { copies: ['origin'], unknown: [], places: 1, offsite: false, missing: ['copies'] } as const
    const backup = backupOf()
    return this.#of(cluster, {
      backups: [backup],
      damaged: [{ backupId: 'b0', error }],
      copies: { [backup.backupId]: copies },
    })
  }
}

const bodies: Readonly<Record<string, unknown>> = {
  startRun: { task: 'backup', type: 'full', label: 'x' },
  acknowledgeAlert: { note: 'on it', by: 'ada' },
  snoozeAlert: { minutes: 30 },
  confirmCanary: { code: 'K7QM-2FXP', by: 'ada' },
  createMaintenance: { until: '2027-01-01T00:00:00Z', reason: 'New disks.' },
}
const parameters: Readonly<Record<string, string>> = {
  cluster: 'main',
  run: 'r1',
  alert: 'k1',
  maintenance: 'm1',
  channel: 'mail',
}

describe('every answer is as the document says', () => {
  const check = documentChecker()
  const documented = async (facts: OperationFacts, response: Response): Promise<DocumentedAnswer> => {
    const contentType = response.headers.get('content-type')?.split(';')[0] ?? ''
    const isStream = contentType === 'text/event-stream'
    const body = isStream ? await firstEvent(response) : JSON.parse(await response.text())
    return { method: facts.method, path: `${API_PREFIX}${facts.path}`, status: response.status, contentType, body }
  }

  for (const [name, facts] of Object.entries<OperationFacts>(operations)) {
    test(name, async () => {
      await using api = await startApi({ services: new Full() })
      const ask = (values: Readonly<Record<string, string>>, body: unknown = bodies[name]) =>
        api.ask(`${API_PREFIX}${facts.path.replaceAll(/\{(\w+)\}/g, (_, key: string) => values[key] ?? key)}`, {
          method: facts.method.toUpperCase(),
          ...(facts.method === 'get'
            ? // A feed that does not know this one begins with an event at once.
              { headers: facts.events ? { 'last-event-id': 'unknown' } : {} }
            : { body: JSON.stringify(body ?? {}), headers: { 'content-type': 'application/json' } }),
        })
      const answer = await documented(facts, await ask(parameters))
      assert.deepEqual([answer.status, check(answer)], [facts.status, []])
      // The check can fail.
      assert.notDeepEqual(check({ ...answer, body: [answer.body] }), [])
      if (facts.params) {
        const absent = await documented(facts, await ask({}))
        assert.deepEqual([absent.status, check(absent)], [404, []])
      }
      const denied = await documented(
        facts,
        await api.ask(`${API_PREFIX}${facts.path}`, {
          method: facts.method.toUpperCase(),
          headers: { authorization: '' },
        }),
      )
      assert.deepEqual([denied.status, check(denied)], [401, []])
      if (!facts.body) return
      const refused = await documented(facts, await ask(parameters, { nobody: 'knows' }))
      // Where everything may be left out, what is not known is refused all the same.
      assert.deepEqual([refused.status, check(refused)], [400, []])
    })
  }
})

async function firstEvent(response: Response): Promise<unknown> {
  assert(response.body)
  let text = ''
  for await (const chunk of response.body) {
    text += Buffer.from(chunk as Uint8Array).toString()
    const [, data] = /^data: (.*)\n\n/m.exec(text) ?? []
    if (data !== undefined) return JSON.parse(data)
  }
  throw new Error('the stream ended before its first event')
}
