/** The guides in the order of the sidebar, by the names of their files in demo/guides. */
export const GUIDES = {
  'Get started': ['getting-started', 'faq', 'comparison', 'coming-from'],
  Use: [
    'connections',
    'consuming',
    'producing',
    'delays',
    'retrying',
    'requests',
    'streams',
    'topology',
    'contracts',
    'recipes',
    'testing',
  ],
  Operate: ['health', 'dashboard', 'observing', 'prometheus', 'errors', 'closing', 'tuning', 'security', 'benchmarks'],
  'Set up': ['typescript', 'bundlers', 'runtimes', 'nest', 'support'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
