// The shapes that states, marks and buttons are drawn with, once a page.
import { raw } from 'hono/html'

export const sprite = raw(`<svg class="sprite" aria-hidden="true" focusable="false">
<symbol id="s-crit" viewBox="0 0 16 16"><path fill="currentColor" d="M5 1h6l4 4v6l-4 4H5l-4-4V5z"/><path class="cut" d="M8 4.2v4.6M8 11.2v.6" stroke-width="2" stroke-linecap="round"/></symbol>
<symbol id="s-warn" viewBox="0 0 16 16"><path fill="var(--warn-fill)" d="M8 1.6 15.1 14.2H.9z" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/><path d="M8 6.2v3.2M8 11.700v.2" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></symbol>
<symbol id="s-ok" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="m5.2 8.2 2 2 3.6-4.2" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="s-pending" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6"/><path fill="currentColor" d="M8 4v8a4 4 0 0 0 0-8z"/></symbol>
<symbol id="s-held" viewBox="0 0 16 16"><rect x="2" y="2" width="12" height="12" rx="2.5" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M6.2 5.4v5.2M9.8 5.4v5.2" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></symbol>
<symbol id="s-stale" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.4 2.3"/></symbol>
<symbol id="s-idle" viewBox="0 0 16 16"><path d="M3 8h10" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></symbol>
<symbol id="m-deploy" viewBox="0 0 20 20"><path d="M10 .5 18.500 8v10h-17V8z"/></symbol>
<symbol id="m-flag" viewBox="0 0 20 20"><path d="M1.500 2.500h18l-4 7.500 4 7.500h-18z"/></symbol>
<symbol id="m-scale" viewBox="0 0 20 20"><path d="m10 .5 7.500 6v7l-7.500 6-7.500-6v-7z"/></symbol>
<symbol id="m-alert" viewBox="0 0 20 20"><path d="M6.300 1h7.400L19 6.300v7.400L13.700 19H6.300L1 13.700V6.300z"/></symbol>
<symbol id="m-rollback" viewBox="0 0 20 20"><path d="M.5 10 8 1.500h10v17H8z"/></symbol>
<symbol id="m-budget" viewBox="0 0 20 20"><path d="M10 .5 19.500 10 10 19.500.5 10z"/></symbol>
<symbol id="m-hold" viewBox="0 0 20 20"><path d="M2 2h16v16H2z"/></symbol>
<symbol id="m-page" viewBox="0 0 20 20"><circle cx="10" cy="10" r="8.500"/></symbol>
<symbol id="m-note" viewBox="0 0 20 20"><path d="M2 8h16v4H2z"/></symbol>
<symbol id="i-search" viewBox="0 0 16 16"><circle cx="7" cy="7" r="4.500"/><path d="m10.500 10.500 3.500 3.500"/></symbol>
<symbol id="i-now" viewBox="0 0 16 16"><path d="M1 8h3.500M11.500 8H15"/><circle cx="8" cy="8" r="2.500" fill="currentColor"/></symbol>
<symbol id="i-incident" viewBox="0 0 16 16"><path d="M5.2 1.500h5.600l3.700 3.700v5.600l-3.700 3.700H5.2l-3.700-3.700V5.2zM8 5v3.500M8 11v.2"/></symbol>
<symbol id="i-explore" viewBox="0 0 16 16"><path d="M1.500 12.500 5.500 7l3 3 6-7.500"/></symbol>
<symbol id="i-rollout" viewBox="0 0 16 16"><path d="M2 13.500v-3h4v-4h4v-4h4"/></symbol>
<symbol id="i-cost" viewBox="0 0 16 16"><path d="M11.500 4.500C11 3 9.6 2.700 8 2.700c-2 0-3.400.9-3.400 2.500C4.6 8.6 11.700 7 11.700 10.600c0 1.700-1.6 2.700-3.700 2.700-1.800 0-3.300-.5-3.800-2.100M8 1v14"/></symbol>
<symbol id="i-oncall" viewBox="0 0 16 16"><circle cx="8" cy="5" r="3"/><path d="M2.500 14.500c.5-3 2.600-4.500 5.500-4.500s5 1.500 5.500 4.500"/></symbol>
<symbol id="i-more" viewBox="0 0 16 16"><path d="M2.500 4.500h11M2.500 8h11M2.500 11.500h11"/></symbol>
<symbol id="i-theme" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6"/><path d="M8 2v12a6 6 0 0 0 0-12z" fill="currentColor"/></symbol>
<symbol id="i-go" viewBox="0 0 16 16"><path d="m6 3.500 4.500 4.500L6 12.500"/></symbol>
</svg>`)
