// Charts island: loads the chart library only after the page is readable, then
// draws every element that names its data with data-chart. Without the library
// the tables under the charts say the same.
(function () {
  'use strict';
  var slots = document.querySelectorAll('[data-chart]');
  if (!slots.length) return;
  var palette = ['#1f5f46', '#c98a2b', '#5a7fa8', '#a3483b', '#7a9a5b', '#6d5a8c', '#3b8f8a', '#b8a13a', '#8c6a4f', '#94a39a'];

  function option(kind, d) {
    var base = { color: palette, textStyle: { fontFamily: 'inherit' }, grid: { left: 8, right: 16, top: 36, bottom: 8, containLabel: true }, tooltip: { trigger: kind === 'pie' ? 'item' : 'axis' }, animationDuration: 300 };
    if (kind === 'pie') {
      base.series = [{ type: 'pie', radius: ['42%', '70%'], label: { formatter: '{b}\n{c} ({d}%)' }, data: d.labels.map(function (l, i) { return { name: l, value: d.series[0].values[i] }; }) }];
      return base;
    }
    var cat = { type: 'category', data: d.labels, axisLabel: { interval: 'auto', hideOverlap: true } };
    var val = { type: 'value', minInterval: 1 };
    if (kind === 'rank') { cat.inverse = true; base.yAxis = cat; base.xAxis = val; base.grid.top = 8; } else { base.xAxis = cat; base.yAxis = val; base.legend = { top: 0, type: 'scroll' }; }
    base.series = d.series.map(function (s) { return { name: s.name, type: kind === 'line' ? 'line' : 'bar', stack: kind === 'stack' ? 'all' : undefined, data: s.values, barMaxWidth: 26 }; });
    return base;
  }

  function draw(slot) {
    fetch(slot.dataset.chart, { headers: { Accept: 'application/json' } }).then(function (r) { return r.json(); }).then(function (d) {
      if (!d.labels || !d.labels.length) { slot.textContent = '还没有数据：数据入库后这里会自动出现。'; slot.style.height = 'auto'; return; }
      var chart = window.echarts.getInstanceByDom(slot) || window.echarts.init(slot);
      chart.setOption(option(slot.dataset.kind, d), true);
    }).catch(function () { slot.textContent = '图表数据暂时取不到，请稍后刷新页面。'; });
  }

  function all() { slots.forEach(draw); }
  var script = document.createElement('script');
  script.src = document.currentScript ? document.currentScript.dataset.library : '';
  script.onload = function () {
    all();
    setInterval(all, 30000);
    window.addEventListener('resize', function () { slots.forEach(function (s) { var c = window.echarts.getInstanceByDom(s); if (c) c.resize(); }); });
  };
  script.onerror = function () { slots.forEach(function (s) { s.style.display = 'none'; }); document.querySelectorAll('details.data').forEach(function (d) { d.open = true; }); };
  if (document.readyState === 'complete') document.head.appendChild(script); else window.addEventListener('load', function () { document.head.appendChild(script); });
})();
