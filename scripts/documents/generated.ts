import { renderCliReference } from '../../src/cli/docs.ts'
import { renderConfigReference } from '../../src/engine/config-docs.ts'
import { renderAlertsReference } from './alerts-reference.ts'
import { renderApiReference } from './api-reference.ts'
import { renderErrorReference } from './error-reference.ts'
import { renderKernelModule } from './kernel-module.ts'
import { renderMetricsReference } from './metrics-reference.ts'

export interface GeneratedDocument {
  /** From the root. */
  readonly path: string
  readonly render: () => string | Promise<string>
}

/** The documents that are made from the sources; a test fails when a file differs from what this makes. */
export const generatedDocuments: readonly GeneratedDocument[] = [
  { path: 'docs/errors.md', render: renderErrorReference },
  { path: 'docs/configuration.md', render: renderConfigReference },
  { path: 'docs/cli.md', render: renderCliReference },
  { path: 'docs/alerts.md', render: renderAlertsReference },
  { path: 'docs/api.md', render: renderApiReference },
  { path: 'docs/metrics.md', render: renderMetricsReference },
  { path: 'src/postgres/kernel/kernel-bytes.ts', render: renderKernelModule },
]
