/** What people do in an emergency, whom they call, and what they try beforehand: the backup strategy's own words as data. */

export interface RecoveryStep {
  readonly title: string
  readonly actions: readonly string[]
}

export interface EmergencyContact {
  /** 1 first; who does not answer in time is followed by the next. */
  readonly level: 1 | 2 | 3
  readonly role: string
  readonly contact: string
  readonly handles: string
}

export interface ChecklistItem {
  readonly number: number
  readonly text: string
}

export interface InstructionOptions {
  /** The project's reference, for addresses that lead right to it. */
  readonly projectId?: string | undefined
}

// biome-ignore lint/complexity/noStaticOnlyClass: the backup strategy calls it by this name and form.
export class RecoveryProcedures {
  /** Six steps, in their order. */
  static getRecoveryInstructions({ projectId }: InstructionOptions = {}): readonly RecoveryStep[] {
    const backups =
      projectId === undefined
        ? 'https://supabase.com/dashboard, then the project, Database, Backups'
        : `https://supabase.com/dashboard/project/${encodeURIComponent(projectId)}/database/backups`
    return [
      {
        title: 'Assess the situation',
        actions: [
          'Determine the scope of the data loss.',
          'Identify the last known good state, as an instant with its offset.',
          'Estimate how long the recovery may take.',
          'Stop what still writes wrong data. Do not delete anything.',
        ],
      },
      {
        title: 'Look at what can be restored',
        actions: [
          `Supabase's own backups: ${backups}`,
          "Retake's: retake window",
          'Supabase restores a project in place: it is down meanwhile, and there is no way back. Retake restores to a new place.',
        ],
      },
      {
        title: 'Choose the recovery method',
        actions: [
          'Point-in-time recovery: best for recent damage; minimal loss. Take the moment just before it.',
          'A daily backup: when point-in-time recovery is not available. May lose up to 24 hours.',
        ],
      },
      {
        title: 'Carry out the recovery',
        actions: [
          'Restore to a new project or server where possible, and compare before you switch over.',
          'Before an in-place restore: drop replication slots and subscriptions, and make them again afterwards.',
          'Scheduled jobs and webhooks run as soon as a restored project is up: disable them first.',
          'Update environment variables, and run database migrations if required.',
        ],
      },
      {
        title: 'Validate the recovery',
        actions: [
          'Test the connection to the database.',
          'Verify the data of the critical tables.',
          'Check the application, and that users can log in.',
          'Check row-level security, and that stored files are still there: backups of the database do not hold them.',
        ],
      },
      {
        title: 'Update the configuration',
        actions: [
          'Update DNS and the deployment configuration if necessary.',
          'Make a new full backup of what was restored.',
          'Tell the stakeholders that the recovery is complete, and what was lost.',
        ],
      },
    ]
  }

  /** @param contacts default: those of CineTrack's strategy; pass your own */
  static getEmergencyContacts(contacts: readonly EmergencyContact[] = CINETRACK_CONTACTS): readonly EmergencyContact[] {
    return contacts.toSorted((a, b) => a.level - b.level)
  }

  /** The ten points to go through in every rehearsal. */
  static getTestingChecklist(): readonly ChecklistItem[] {
    return CHECKLIST.map((text, index) => ({ number: index + 1, text }))
  }
}

const CINETRACK_CONTACTS: readonly EmergencyContact[] = [
  {
    level: 1,
    role: 'Development Lead',
    contact: 'dev-lead@cinetrack.com',
    handles: 'initial assessment and basic recovery',
  },
  { level: 2, role: 'DevOps Engineer', contact: 'devops@cinetrack.com', handles: 'complex recovery scenarios' },
  { level: 2, role: 'Database Administrator', contact: 'dba@cinetrack.com', handles: 'the database itself' },
  { level: 3, role: 'Supabase Support', contact: 'https://supabase.com/support', handles: 'platform-level issues' },
]

const CHECKLIST: readonly string[] = [
  'Verify backup completion notifications',
  'Test point-in-time recovery on staging',
  'Validate critical table data integrity',
  'Check backup file accessibility',
  'Test restoration procedure documentation',
  'Verify RLS policies after restoration',
  'Test application functionality post-recovery',
  'Validate user authentication after restore',
  'Check data consistency across related tables',
  'Verify file storage links and uploads',
]
