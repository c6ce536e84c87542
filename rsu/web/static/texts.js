// Every word of the page, in English and Chinese: one table. `t(key, values)` fills {placeholders}.

const TABLE = {
  // status line
  live: ["LIVE", "实时"], replay: ["REPLAY", "回放"], past: ["PAST", "历史"],
  all_well: ["All well", "运行正常"], reduced: ["Reduced", "降级运行"], not_well: ["Attention", "需要处理"],
  no_data: ["No data", "无数据"],
  capability: ["sees", "感知"], clock: ["clock", "时钟"], uplink: ["uplink", "上行"], data_age: ["data", "数据"],
  sensors: ["sensors", "传感器"], road_users: ["road users", "交通参与者"],
  settings: ["Settings", "配置"], other_language: ["中文", "English"],
  waiting: ["Connecting …", "正在连接…"],
  lost: ["Connection lost for {s} s — what you see is old", "连接中断 {s} 秒，画面已过期"],
  replay_gone: ["Connection lost: nobody replays any more", "连接中断：回放已结束"],
  not_live: ["not live", "非实时"], replay_end: ["end of the recording", "录制结束"],
  pace: ["Pace", "播放速度"],
  old_evidence: ["Newest evidence is {s} s old", "最新感知数据已过 {s} 秒"],
  no_evidence: ["No tracks: nothing is perceived", "无目标：当前没有感知数据"],
  ago: ["{s} s ago", "{s} 秒前"], none: ["none", "无"], unknown: ["unknown", "未知"],
  "cap.full": ["all sensors", "全部传感器"], "cap.camera-only": ["cameras only", "仅摄像机"],
  "cap.radar-only": ["radar only", "仅雷达"], "cap.signals-only": ["signals only", "仅信号机"],
  "cap.blind": ["nothing", "失明"], "cap.null": ["not told", "未知"],
  "clock.locked": ["locked", "已同步"], "clock.holdover": ["holdover", "守时"],
  "clock.unsynchronised": ["unsynchronised", "未同步"], "clock.null": ["not told", "未知"],
  "up.none": ["not set up", "未配置"], "up.connected": ["connected", "已连接"], "up.offline": ["offline", "离线"],
  "up.silent": ["silent", "无应答"],
  // tabs
  "tab.objects": ["Road users", "目标"], "tab.events": ["Events", "事件"], "tab.cameras": ["Cameras", "视频"],
  "tab.messages": ["Messages", "消息"], "tab.parking": ["Parking", "停车"], "tab.traffic": ["Traffic", "交通流"],
  "tab.health": ["Health", "健康"],
  // road users
  id: ["id", "编号"], class: ["class", "类型"], speed: ["speed", "速度"], heading: ["heading", "航向"],
  accuracy: ["± 95 %", "±95%"], position: ["position", "位置"], existence: ["existence", "存在概率"],
  seen_short: ["age", "距今"], size: ["size", "尺寸"], seen: ["last measured", "最近测量"], tracked: ["tracked for", "跟踪时长"],
  seen_by: ["seen by", "来源"], state: ["state", "状态"], uncertainty: ["95 % ellipse", "95%误差椭圆"],
  unselect: ["Close", "关闭"], gone_track: ["Track {id} has left the picture.", "目标 {id} 已离开。"],
  no_tracks: ["Nobody on the road.", "当前没有目标。"], parked: ["standing", "静止"],
  pick_hint: ["Click a road user on the map or in the list.", "点击地图或列表中的目标查看详情。"],
  confirmed: ["confirmed", "已确认"], coasting: ["not seen just now", "暂时遮挡"],
  "c.unknown": ["unknown", "未知"], "c.pedestrian": ["pedestrian", "行人"], "c.bicycle": ["bicycle", "自行车"],
  "c.motorcycle": ["motorcycle", "摩托车"], "c.car": ["car", "小汽车"], "c.van": ["van", "面包车"],
  "c.truck": ["truck", "货车"], "c.bus": ["bus", "公交车"], "c.animal": ["animal", "动物"],
  "c.obstacle": ["obstacle", "障碍物"],
  // events
  locate: ["Show on the map", "地图定位"],
  look_off: ["picture {s} s from the look", "画面与取证时刻相差 {s} 秒"],
  going_on: ["Going on", "进行中"], over: ["Over", "已结束"], no_events: ["No events.", "暂无事件。"],
  event: ["event", "事件"], since: ["since", "开始"], lasts: ["for", "已持续"], lasted: ["lasted", "持续"], confidence: ["confidence", "置信度"],
  lanes: ["lanes", "车道"], conflict_in: ["conflict in {s} s, {p} %", "{s} 秒后冲突，概率 {p}%"],
  "ending.cleared": ["cleared", "已解除"], "ending.unobserved": ["no longer observed", "无法继续观测"],
  "k.congestion": ["congestion", "交通拥堵"], "k.stopped-vehicle": ["stopped vehicle", "异常停车"],
  "k.illegal-parking": ["illegal parking", "违法停车"], "k.fire-lane-blocked": ["fire lane blocked", "占用消防通道"],
  "k.obstacle": ["obstacle on the road", "路面障碍物"], "k.wrong-way": ["wrong-way driver", "逆行"],
  "k.speeding": ["speeding", "超速"], "k.slow-vehicle": ["slow vehicle", "慢行车辆"],
  "k.pedestrian-on-carriageway": ["pedestrian on carriageway", "行人闯入车道"],
  "k.red-light-running": ["red light run", "闯红灯"], "k.crash-suspected": ["crash suspected", "疑似事故"],
  "k.water-on-road": ["water on road", "路面积水"], "k.low-visibility": ["low visibility", "低能见度"],
  "k.collision-warning": ["collision ahead", "交叉碰撞预警"], "k.vru-warning": ["person in the way", "弱势交通参与者碰撞预警"],
  "k.rear-end-warning": ["rear-end collision", "追尾碰撞预警"], "k.red-light-warning": ["red light will be run", "闯红灯预警"],
  "k.ice": ["ice", "路面结冰"], "k.emergency-vehicle": ["emergency vehicle", "紧急车辆"],
  // cameras
  no_picture_past: ["Pictures are not recorded: boxes only.", "画面不录制，仅显示检测框。"],
  no_picture: ["No picture: this camera gives no preview.", "无画面：该摄像机未提供预览。"],
  masked: ["masked", "已脱敏"], unmasked: ["NOT MASKED", "未脱敏"], no_cameras: ["No cameras.", "没有摄像机。"],
  boxes: ["{n} boxes", "{n} 个检测框"],
  // messages
  said: ["On the air", "已播发"], heard: ["Heard", "已接收"], message: ["message", "消息"], rate: ["per s", "每秒"],
  age50: ["age p50", "时延 p50"], age99: ["p99", "p99"], count: ["count", "累计"], newest: ["newest", "最近"],
  octets: ["octets", "字节"], refused: ["not sent", "未发出"], nothing_said: ["Nothing said yet.", "尚未播发消息。"],
  latency: ["Age when handed to the radio, last minute", "交付电台时的时延（近一分钟）"],
  latency_message: ["Age when published, last minute (no radio reports here)", "发布时的时延（近一分钟，无电台回执）"],
  decoded_past: ["Of the past only counts are shown here; rsu v2x decode shows a recording's messages.", "历史仅显示统计；录制中的消息请用 rsu v2x decode 查看。"],
  withheld: ["Not said within the last minute, and why", "近一分钟未播发及原因"], reason: ["reason", "原因"],
  decoded: ["{name}, decoded", "{name} 解码"], all_said: ["Nothing was held back.", "没有被扣留的消息。"],
  // parking
  no_parking: ["This site has no parking bays.", "本站点没有停车位。"], free: ["free", "空闲"], occupied: ["occupied", "占用"],
  closed: ["closed", "关闭"], entries: ["entered", "驶入"], exits: ["left", "驶出"], guided: ["guided", "引导中"],
  overstay: ["overstay", "超时"], "wrong-class": ["wrong class", "车型不符"], "double-bay": ["over the line", "压线"],
  // traffic
  lane: ["lane", "车道"], now_on: ["on it", "在途"], queue: ["queue", "排队"], flow: ["veh/h", "辆/小时"],
  no_traffic: ["Nothing counted yet: the first period ends after ten seconds.", "尚无统计：首个周期十秒后结束。"],
  nobody_counted: ["No vehicle has crossed a counting line yet.", "尚无车辆通过计数断面。"],
  flow_chart: ["Flow per lane, veh/h (mean of a minute)", "各车道流量，辆/小时（一分钟均值）"],
  speed_chart: ["Mean speed at the counting line, km/h", "断面平均速度，km/h"],
  level: ["level", "服务水平"], occupancy: ["occupancy", "占有率"], turns: ["Turns in the last quarter of an hour", "近一刻钟转向流量"],
  from: ["from", "驶入"], to: ["to", "驶出"], spill_back: ["spills back", "溢出"],
  // health
  unit: ["Unit", "设备"], kind: ["kind", "类型"], detail: ["detail", "详情"], received: ["received", "接收"],
  dropped: ["dropped", "丢弃"], processes: ["Processes", "进程"], restarts: ["restarts", "重启"], memory: ["memory", "内存"],
  alarms: ["Alarms", "告警"], environment: ["Weather and road", "气象与路面"], value: ["value", "数值"],
  queued: ["queued", "排队"], delivered: ["delivered", "已送达"], unit_age: ["unit told of itself", "设备自报"],
  no_alarms: ["No alarms.", "无告警。"], suspect: ["suspect", "疑似"], outbox: ["Uplink", "上行链路"],
  "alarm.calibration": ["{a} and {b} disagree by {m} m", "{a} 与 {b} 位置相差 {m} 米"],
  "alarm.clock": ["{a} and {b} disagree by {s} s", "{a} 与 {b} 时间相差 {s} 秒"],
  "s.starting": ["starting", "启动中"], "s.live": ["live", "正常"], "s.late": ["late", "延迟"], "s.frozen": ["frozen", "冻结"],
  "s.blind": ["blind", "失明"], "s.shifted": ["shifted", "偏移"], "s.gone": ["gone", "离线"], "s.ended": ["ended", "已结束"],
  "env.visibility": ["visibility", "能见度"], "env.rain": ["rain", "降雨强度"], "env.road-temperature": ["road temperature", "路面温度"],
  "env.water-depth": ["water on the road", "积水深度"], "env.road-surface": ["road surface", "路面状况"],
  // time travel
  save: ["Save this incident", "保存此事件"], saved: ["Saved: {name}", "已保存：{name}"],
  save_failed: ["Not saved: {why}", "保存失败：{why}"], no_recording: ["No recording: only the present can be shown.", "未启用录制，仅显示实时画面。"],
  needs_login: ["Needs a login: set web.token_file", "需要登录：请设置 web.token_file"], play: ["Play", "播放"], pause: ["Pause", "暂停"],
  loading: ["Loading …", "加载中…"], back: ["{s} before the newest", "{s} 之前"],
};

let column = 0;

export function setLanguage(language) {
  column = language === "zh" ? 1 : 0;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export function t(key, values = {}) {
  const found = TABLE[key];
  const text = found === undefined ? key.replace(/^[a-z]+\./, "") : found[column];
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
