/** What a recovery may take and lose, and what is done so that it holds; a part of `config-options.ts`. */
export const objectiveOptions = {
  rtoCriticalHours: {
    description:
      'Objective: critical systems are back after so many hours. `retake health` compares it with what was measured.',
    env: 'RETAKE_RTO_CRITICAL_HOURS',
    defaultText: '4',
    example: '4',
    value: { kind: 'number', min: 0 },
  },
  rtoApplicationHours: {
    description: 'Objective: the whole application is back after so many hours.',
    env: 'RETAKE_RTO_APPLICATION_HOURS',
    defaultText: '8',
    example: '8',
    value: { kind: 'number', min: 0 },
  },
  rtoDataHours: {
    description: 'Objective: all data is back after so many hours.',
    env: 'RETAKE_RTO_DATA_HOURS',
    defaultText: '24',
    example: '24',
    value: { kind: 'number', min: 0 },
  },
  rpoBackupHours: {
    description: 'Objective: with nothing but the last backup, at most so many hours of work are lost.',
    env: 'RETAKE_RPO_BACKUP_HOURS',
    defaultText: '24',
    example: '24',
    value: { kind: 'number', min: 0 },
  },
  rpoAcceptableMinutes: {
    description: 'Objective: less than so many minutes of work may ever be lost.',
    env: 'RETAKE_RPO_ACCEPTABLE_MINUTES',
    defaultText: '60',
    example: '60',
    value: { kind: 'number', min: 0 },
  },
  maxReplayMinutes: {
    description:
      '`retake serve` makes an incremental backup when replaying the WAL since the newest one would take longer than this and than a backup (docs/schedules.md). 0: never.',
    env: 'RETAKE_MAX_REPLAY_MINUTES',
    defaultText: '30',
    example: '15',
    value: { kind: 'number', min: 0 },
  },
} as const
