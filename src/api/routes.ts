/** Each operation of the table, carried out by the services. No decisions here. */

import { RetakeError } from '../base/errors.ts'
import type { BackupList } from '../engine/backups.ts'
import type { Backup, BackupPage } from './contract/backups.ts'
import type { AnswerOf, EventOf, InputOf } from './contract/operation.ts'
import type { OperationName, Operations, WatchName } from './contract/operations.ts'
import { DEFAULT_PAGE_LIMIT } from './contract/words.ts'
import { refusal } from './http/refusals.ts'
import { takePage } from './pages.ts'
import type { ActionCall, ApiServices, Call, PageRequest, StreamItem, WatchRequest } from './services.ts'

type AnswerName = Exclude<OperationName, WatchName>

export type AnswerHandlers = {
  readonly [K in AnswerName]: (input: InputOf<Operations[K]>, call: ActionCall) => Promise<AnswerOf<Operations[K]>>
}

export interface Watch<T> {
  readonly open: (request: WatchRequest) => AsyncIterable<StreamItem<T>>
}

export type WatchHandlers = {
  readonly [K in WatchName]: (input: InputOf<Operations[K]>, call: Call) => Promise<Watch<EventOf<Operations[K]>>>
}

export function answerHandlers(services: ApiServices): AnswerHandlers {
  return { ...clusterHandlers(services), ...runHandlers(services), ...alertHandlers(services) }
}

type Part<K extends AnswerName> = Pick<AnswerHandlers, K>

function clusterHandlers(
  services: ApiServices,
): Part<
  | 'getServer'
  | 'listClusters'
  | 'getCluster'
  | 'getStatus'
  | 'getHealth'
  | 'listScores'
  | 'getWindow'
  | 'listBackups'
  | 'getSchedules'
> {
  return {
    getServer: (_, call) => services.readServer(call),
    listClusters: (input, call) => services.listClusters(pageRequest(input), call),
    getCluster: async ({ cluster }, call) => there(await services.readCluster(cluster, call), noCluster(cluster)),
    getStatus: async ({ cluster }, call) => ({
      schemaVersion: 1,
      ...there(await services.readStatus(cluster, call), noCluster(cluster)),
    }),
    getHealth: async ({ cluster }, call) => {
      const health = await services.readHealth(cluster, call)
      if (health) return health
      there(await services.readCluster(cluster, call), noCluster(cluster))
      throw refusal('api.missing', `The health of "${cluster}" was not looked at yet, so it is unknown.`, {
        status: 404,
        hint: `Wait for the first round of checks, or start one: POST /api/v1/clusters/${cluster}/runs {"task":"check"}`,
      })
    },
    listScores: async ({ cluster, from, until, ...page }, call) =>
      there(await services.listScores(cluster, { from, until, ...pageRequest(page) }, call), noCluster(cluster)),
    getWindow: async ({ cluster }, call) => there(await services.readWindow(cluster, call), noCluster(cluster)),
    listBackups: async ({ cluster, ...page }, call) =>
      backupPage(there(await services.listBackups(cluster, call), noCluster(cluster)), pageRequest(page)),
    getSchedules: async ({ cluster, next }, call) =>
      there(await services.readSchedules(cluster, { next }, call), noCluster(cluster)),
  }
}

function runHandlers(services: ApiServices): Part<'startRun' | 'listRuns' | 'getRun' | 'cancelRun'> {
  return {
    startRun: ({ cluster, body }, call) => services.startRun({ cluster, wanted: body }, call),
    listRuns: (input, call) => services.listRuns({ ...input, ...pageRequest(input) }, call),
    getRun: async ({ run }, call) => there(await services.readRun(run, call), missing('run', run)),
    cancelRun: async ({ run }, call) => there(await services.cancelRun(run, call), missing('run', run)),
  }
}

function alertHandlers(
  services: ApiServices,
): Part<
  | 'listAlerts'
  | 'getAlert'
  | 'acknowledgeAlert'
  | 'snoozeAlert'
  | 'listMaintenance'
  | 'createMaintenance'
  | 'endMaintenance'
  | 'listChannels'
  | 'testChannel'
  | 'sendCanary'
  | 'confirmCanary'
  | 'listNotices'
> {
  return {
    listAlerts: (input, call) => services.listAlerts({ ...input, ...pageRequest(input) }, call),
    getAlert: async ({ alert }, call) => there(await services.readAlert(alert, call), missing('alert', alert)),
    acknowledgeAlert: async ({ alert, body }, call) =>
      there(await services.acknowledgeAlert(alert, body, call), missing('alert', alert)),
    snoozeAlert: async ({ alert, body }, call) =>
      there(await services.snoozeAlert(alert, body, call), missing('alert', alert)),
    listMaintenance: (input, call) => services.listMaintenance({ ...input, ...pageRequest(input) }, call),
    createMaintenance: ({ body }, call) => {
      if (body.from !== undefined && Date.parse(body.until) <= Date.parse(body.from)) throw endsBeforeItBegins()
      return services.createMaintenance(body, call)
    },
    endMaintenance: async ({ maintenance }, call) =>
      there(await services.endMaintenance(maintenance, call), missing('maintenance window', maintenance)),
    listChannels: async (_, call) => ({ items: await services.listChannels(call) }),
    testChannel: async ({ channel }, call) =>
      there(await services.testChannel(channel, call), missing('channel', channel)),
    sendCanary: async ({ channel }, call) =>
      there(await services.sendCanary(channel, call), missing('channel', channel)),
    confirmCanary: async ({ body }, call) => there(await services.confirmCanary(body, call), noCanary),
    listNotices: (input, call) => services.listNotices({ ...input, ...pageRequest(input) }, call),
  }
}

export function watchHandlers(services: ApiServices): WatchHandlers {
  return {
    watchCluster: async ({ cluster }, call) => {
      there(await services.readCluster(cluster, call), noCluster(cluster))
      return { open: (request) => services.watchCluster(cluster, request) }
    },
    watchRun: async ({ run }, call) => {
      there(await services.readRun(run, call), missing('run', run))
      return { open: (request) => services.watchRun(run, request) }
    },
  }
}

function pageRequest({
  cursor,
  limit,
}: {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}): PageRequest {
  return { limit: limit ?? DEFAULT_PAGE_LIMIT, ...(cursor === undefined ? {} : { cursor }) }
}

function backupPage({ backups, damaged, copies }: BackupList, request: PageRequest): BackupPage {
  const page = takePage(backups, {
    ...request,
    keyOf: ({ stoppedAt, backupId }) => [stoppedAt, backupId],
    order: 'descending',
  })
  const items = page.items.map((backup): Backup => {
    const held = copies?.[backup.backupId]
    return { ...backup, ...(held ? { copies: held } : {}) }
  })
  return { ...page, items, damaged: damaged.map(({ backupId, error }) => ({ backupId, message: error.message })) }
}

function there<T>(value: T | undefined, absent: () => RetakeError): T {
  if (value === undefined) throw absent()
  return value
}

const noCluster = (cluster: string) => () =>
  new RetakeError('cluster.missing', `This server watches no cluster "${cluster}".`, {
    hint: 'GET /api/v1/clusters lists those that it watches.',
  })

const missing = (kind: string, id: string) => () => new RetakeError('api.missing', `There is no ${kind} "${id}".`)

const noCanary = () =>
  new RetakeError('api.missing', 'No canary has this code, so nothing is confirmed.', {
    hint: 'Take the code from the message itself; retake alerts canary sends a new one.',
  })

const endsBeforeItBegins = () =>
  refusal('api.invalid', 'The maintenance window ends before it begins. Nothing was changed.', {
    status: 400,
    fields: [{ in: 'body', field: 'until', message: 'must be later than from' }],
  })
