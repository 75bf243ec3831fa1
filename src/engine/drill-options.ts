/** The options of rehearsed recoveries; a part of `config-options.ts`. */
export const drillOptions = {
  drillDirectory: {
    description:
      'Where rehearsed recoveries (`retake drill`) make their sandbox; it needs the space of the cluster while one runs, and is closed to everybody but the account that runs its server.',
    env: 'RETAKE_DRILL_DIRECTORY',
    defaultText: "the system's directory for temporary files",
    example: '/var/lib/retake-drills',
    value: { kind: 'text' },
  },
  drillTimeLimitHours: {
    description: 'A drill that takes longer is ended, and has failed.',
    env: 'RETAKE_DRILL_TIME_LIMIT_HOURS',
    defaultText: '6',
    example: '6',
    value: { kind: 'number', min: 0.01, max: 500 },
  },
  drillMaxDiskGigabytes: {
    description: 'A drill that needs more disk than this is not begun. Without it: what is free.',
    env: 'RETAKE_DRILL_MAX_DISK_GIGABYTES',
    example: '200',
    value: { kind: 'number', min: 0 },
  },
} as const
