import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RestoreMarker } from '../target-directory.ts'
import { type DeltaFacts, judgeDelta } from './delta-target.ts'

const cluster = { systemIdentifier: '7' }
const markerOf = (more: Partial<RestoreMarker>): RestoreMarker => ({
  tool: 'retake',
  planHash: '',
  systemIdentifier: '7',
  phase: 'files',
  tablespaces: [],
  at: '2026-11-22T09:00:00Z',
  ...more,
})
const usable: DeltaFacts = {
  directory: '/srv/data',
  names: ['base', 'global'],
  marker: undefined,
  systemIdentifier: '7',
  hasRecoverySignal: false,
  serverRuns: false,
  socketAnswers: false,
  restoreRuns: false,
}

test('every combination of facts has one answer, and only a stopped data directory of this cluster is changed', () => {
  const flags = [false, true]
  const markers = [
    undefined,
    ...(['files', 'recovering', 'complete'] as const).flatMap((phase) => [
      markerOf({ phase }),
      markerOf({ phase, systemIdentifier: '8' }),
    ]),
  ]
  let changed = 0
  for (const names of [undefined, [], usable.names])
    for (const systemIdentifier of [undefined, 'damaged', '7', '8'])
      for (const marker of markers)
        for (const serverRuns of flags)
          for (const socketAnswers of flags)
            for (const restoreRuns of flags)
              for (const hasRecoverySignal of flags) {
                const facts = {
                  ...usable,
                  names,
                  systemIdentifier,
                  marker,
                  serverRuns,
                  socketAnswers,
                  restoreRuns,
                  hasRecoverySignal,
                }
                const { state } = judgeDelta(facts, cluster)
                if (state === 'refused') continue
                changed += 1
                assert.ok(names && !serverRuns && !socketAnswers && !restoreRuns)
                assert.notEqual(marker?.systemIdentifier, '8')
                // Its own control file says whose it is, or, when that is away, the marker of the restore that took it.
                assert.ok(systemIdentifier === '7' || (systemIdentifier === undefined && marker))
                const halfDone = systemIdentifier === undefined || (marker?.phase === 'recovering' && hasRecoverySignal)
                assert.equal(state, halfDone ? 'unfinished' : 'usable')
              }
  assert.ok(changed > 0)
})

test('each refusal says why and what to do', () => {
  const refusal = (facts: Partial<DeltaFacts>) => {
    const found = judgeDelta({ ...usable, ...facts }, cluster)
    assert.ok(found.state === 'refused')
    return `${found.why}: ${found.fix}`
  }
  assert.match(refusal({ names: undefined }), /does not exist: Leave --delta out/)
  assert.match(refusal({ serverRuns: true }), /a server is running in it: Stop it: pg_ctl stop -D '\/srv\/data'/)
  assert.match(refusal({ socketAnswers: true }), /remove \/srv\/data\/postmaster.pid/)
  assert.match(refusal({ systemIdentifier: undefined }), /no control file/)
  assert.match(refusal({ systemIdentifier: 'damaged' }), /damaged/)
  assert.match(refusal({ systemIdentifier: '8' }), /another cluster/)
})
